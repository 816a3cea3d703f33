import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.PriorityQueue;
import weka.classifiers.Classifier;
import weka.classifiers.bayes.NaiveBayes;
import weka.classifiers.bayes.NaiveBayesMultinomial;
import weka.classifiers.meta.FilteredClassifier;
import weka.classifiers.trees.J48;
import weka.core.Attribute;
import weka.core.DenseInstance;
import weka.core.Instances;
import weka.core.SerializationHelper;
import weka.core.Utils;
import weka.filters.Filter;
import weka.filters.MultiFilter;
import weka.filters.unsupervised.attribute.StringToWordVector;

/** Writes the WEKA models in this folder, and beside each readable one what WEKA answers for TEXTS. */
final class Fixtures {
    private static final String SEPARATOR = "\t";

    /** Training sentences: the class, a tab, the text. */
    private static final String[] SENTENCES = {
        "ad\tWIN a FREE prize now, click the link and WIN WIN WIN",
        "ad\tFree delivery! Free gift! Free prize! Call now",
        "ad\tBuy cheap watches now, cheap cheap prices, 50% off",
        "ad\tcongratulations you win a prize, call 0800-123 now",
        "ad\tCheap loans now: no questions, click here to win money",
        "ad\tÖffnen Sie jetzt: GRATIS Preis, jetzt GRATIS, große Chance",
        "ad\tGagnez un prix gratuit, café offert, cliquez ici dès maintenant",
        "ad\tΚέρδισε τώρα ΔΩΡΟ στην οδος Ερμού, δωρο δωρο",
        "ad\tİstanbul'da ücretsiz hediye kazan, hemen tıkla istanbul",
        "ad\t😀 win 😀 free 😀 gift 🎁",
        "ad\tget rich quick now; money money money (really) \"free\"",
        "ad\tclick now nul\u0000byte click now nul\u0000byte prize",
        "praise\tI love this beer, lovely taste and a lovely bottle",
        "praise\tGreat product, great price, my children love it",
        "praise\tDelicious café crème, très bon, merci beaucoup",
        "praise\tWunderbar! Die große Straße war süß und schön",
        "praise\tThe best pint of the year, I love it.",
        "praise\tlovely lovely lovely, would buy again",
        "praise\tΠολύ καλό, ευχαριστώ, στην οδος μου",
        "praise\tWorks very well and the price is right, love the colour",
        "praise\tçok güzel, istanbul harika",
        "praise\tthe taste is great the smell is great the bottle is great",
        "praise\tGood. Very good. Very very good? Yes! Good",
        "complaint\tTerrible taste, the bottle was broken and the price too high",
        "complaint\tIt broke after a week, terrible terrible quality",
        "complaint\tDoes not work, I want my money back now",
        "complaint\tSchlecht, kaputt nach einer Woche, große Enttäuschung",
        "complaint\tTrès mauvais, café froid, le prix est trop élevé",
        "complaint\tThe worst beer of the year; flat and warm",
        "complaint\tbroken bottle, broken promise, no answer when I call",
        "complaint\tκακό προϊόν, η οδος ήταν λάθος",
        "complaint\tnot good, not cheap, not free, not happy",
        "complaint\tnul\u0000byte in the label, terrible print",
        "complaint\tI would not buy this again, the smell is terrible",
        "complaint\tkötü, bozuk, istanbul kargo geç",
    };

    /** What every readable model is asked. */
    private static final String[] TEXTS = {
        "win a free prize now",
        "I love this beer, lovely taste",
        "terrible quality, it broke after a week",
        "Great price and the best pint of the year",
        "",
        " ",
        " \t\r\n.,;:'\"()?!",
        "zebra quokka xylophone",
        "win win win win win win win win",
        "the the the the the THE The",
        "WIN A FREE PRIZE NOW",
        "Win a Free prize now, WIN",
        "lovely",
        "Lovely LOVELY lovely lOVELY",
        "café CAFÉ Café cafe",
        "cafe\u0301 de\u0301composed",
        "große GROSSE GROẞE grosse",
        "Straße STRASSE süß",
        "ΟΔΟΣ οδος οδοσ Οδός",
        "ΔΩΡΟ δωρο Δωρο",
        "Σ ΑΣ ΑΣ. Σ' ΟΔΟΣ'Σ",
        "İstanbul istanbul ISTANBUL ıstanbul i\u0307stanbul",
        "😀 🎁 win 😀😀 free",
        "😀",
        "tab\tseparated\twords\tfree\tprize",
        "line one free\nline two prize\r\nline three now",
        "hello... world!!! (free) \"prize\" 'now' free;prize:now",
        "free-prize free_prize free/prize 50% 0800-123",
        "free|prize|now|beer",
        "nul\u0000byte label print",
        "non\u00a0breaking free\u00a0prize prize\u2003now",
        "not good not cheap not free not happy not not not",
        "good good very very very good? yes",
        "beer beer beer terrible terrible lovely",
        "ad praise complaint class text",
        "a i of the is it to",
        "\u0000win a\u0000 \u0000 free \u0001prize\u001f now",
        "the price, the price... the price is right",
        "x",
        "shop",
        "Shop shop free prize",
        "price, price; price: taste. bottle? smell! call",
        "çok güzel kötü ücretsiz ÜCRETSİZ KÖTÜ",
        "I bought this for my children last year, the taste is great and the price is right, but the bottle was"
            + " broken when it came and I want my money back; would buy again if it was cheap. Call me now!",
    };

    private static Path folder;

    public static void main(String[] arguments) throws Exception {
        folder = Path.of(arguments[0]);
        for (Map.Entry<String, String> entry : readable().entrySet()) {
            boolean threeClasses = entry.getKey().equals("three-classes");
            boolean classFirst = entry.getKey().startsWith("class-first");
            boolean everywhere = entry.getKey().endsWith("-everywhere");
            Instances data = sentences(threeClasses, classFirst, everywhere ? "shop " : "");
            Classifier classifier = trained(data, vectorizer(entry.getValue()), new NaiveBayesMultinomial());
            boolean alone = entry.getKey().endsWith("-alone");
            Instances header = alone ? null : data.stringFreeStructure();
            write(entry.getKey(), classifier, header);
            expect(entry.getKey(), data);
        }
        writeRefused();
    }

    /** The options of StringToWordVector by model name. */
    private static Map<String, String> readable() {
        Map<String, String> options = new LinkedHashMap<>();
        options.put("binary", "-M 2");
        options.put("binary-tf-idf-normalize-all", "-M 2 -T -I -N 1");
        options.put("counts", "-C");
        options.put("counts-alone", "-C -M 2");
        options.put("counts-lowercase", "-C -L");
        options.put("tf", "-C -T -M 2");
        options.put("idf", "-C -I -M 2");
        options.put("tf-idf", "-C -T -I -L -M 2");
        options.put("normalize-all", "-C -N 1 -M 2");
        options.put("tf-idf-normalize-all", "-C -T -I -N 1 -L -M 2");
        options.put("normalize-test-only", "-C -N 2 -M 2");
        options.put("tf-idf-normalize-test-only", "-C -T -I -N 2 -L -M 2");
        options.put("three-classes", "-C -L -M 2");
        options.put("class-first", "-C -L -M 2");
        options.put("class-first-tf-idf-normalize-all", "-C -T -I -N 1 -L -M 2");
        options.put("delimiters", "-C -L -M 2 -tokenizer \"weka.core.tokenizers.WordTokenizer -delimiters \\\" |-/\u00a0\\\"\"");
        options.put("prefix", "-C -P word_ -M 2");
        options.put("few-words", "-C -L -W 5 -M 3");
        options.put("not-per-class", "-C -L -O -W 20");
        options.put("tf-idf-normalize-all-everywhere", "-C -T -I -N 1 -L -M 2");
        options.put("ngrams", "-C -L -M 2 -tokenizer \"weka.core.tokenizers.NGramTokenizer -min 1 -max 3\"");
        options.put("ngrams-alone", "-M 2 -tokenizer \"weka.core.tokenizers.NGramTokenizer -min 2 -max 2\"");
        options.put("stopwords", "-C -L -M 2 -stopwords-handler weka.core.stopwords.Rainbow");
        return options;
    }

    private static void writeRefused() throws Exception {
        Instances data = sentences(false, false, "");
        Filter plain = vectorizer("-C -M 2");
        refused("stemmer", data, vectorizer("-C -M 2 -stemmer weka.core.stemmers.LovinsStemmer"), new NaiveBayesMultinomial());
        refused("ngrams", data, tokenized("NGramTokenizer -delimiters \\\"\\\\\\\\W\\\""), new NaiveBayesMultinomial());
        refused("alphabetic", data, tokenized("AlphabeticTokenizer"), new NaiveBayesMultinomial());
        refused("j48", data, plain, new J48());
        refused("naive-bayes", data, plain, new NaiveBayes());
        MultiFilter several = new MultiFilter();
        several.setFilters(new Filter[] {vectorizer("-C -M 2")});
        refused("multi-filter", data, several, new NaiveBayesMultinomial());
        write("refused-hash-map", new HashMap<>(Map.of("spam", 1.0)), null);
        PriorityQueue<String> queue = new PriorityQueue<>(Collections.reverseOrder());
        Collections.addAll(queue, "one", "two");
        write("refused-priority-queue", queue, null);
    }

    private static void refused(String name, Instances data, Filter filter, Classifier classifier) throws Exception {
        write("refused-" + name, trained(data, filter, classifier), data.stringFreeStructure());
    }

    /** The sentences as WEKA's rows, each opening with the given text. */
    private static Instances sentences(boolean threeClasses, boolean classFirst, String opening) {
        List<String> classes = threeClasses ? List.of("ad", "praise", "complaint") : List.of("clean", "ad");
        ArrayList<Attribute> attributes = new ArrayList<>();
        attributes.add(new Attribute("text", (List<String>) null));
        attributes.add(classFirst ? 0 : 1, new Attribute("kind", classes));
        Instances data = new Instances("sentences", attributes, SENTENCES.length);
        data.setClassIndex(classFirst ? 0 : 1);
        for (String sentence : SENTENCES) {
            String[] parts = sentence.split(SEPARATOR, 2);
            String label = threeClasses || parts[0].equals("ad") ? parts[0] : "clean";
            DenseInstance row = new DenseInstance(2);
            row.setDataset(data);
            row.setValue(1 - data.classIndex(), data.attribute("text").addStringValue(opening + parts[1]));
            row.setClassValue(label);
            data.add(row);
        }
        return data;
    }

    private static StringToWordVector vectorizer(String options) throws Exception {
        StringToWordVector filter = new StringToWordVector();
        filter.setOptions(Utils.splitOptions(options));
        return filter;
    }

    private static Filter tokenized(String tokenizer) throws Exception {
        return vectorizer("-C -M 2 -tokenizer \"weka.core.tokenizers." + tokenizer + "\"");
    }

    private static Classifier trained(Instances data, Filter filter, Classifier inner) throws Exception {
        FilteredClassifier classifier = new FilteredClassifier();
        classifier.setFilter(filter);
        classifier.setClassifier(inner);
        classifier.buildClassifier(data);
        return classifier;
    }

    private static void write(String name, Object classifier, Instances header) throws Exception {
        String path = folder.resolve(name + ".model").toString();
        if (header == null) {
            SerializationHelper.write(path, classifier);
        } else {
            SerializationHelper.writeAll(path, new Object[] {classifier, header});
        }
    }

    /** Writes the answers of the model as it is read back from its file. */
    private static void expect(String name, Instances data) throws Exception {
        Classifier classifier = (Classifier) SerializationHelper.readAll(folder.resolve(name + ".model").toString())[0];
        StringBuilder lines = new StringBuilder();
        for (String text : TEXTS) {
            lines.append(line(text, classifier, data)).append('\n');
        }
        Files.writeString(folder.resolve(name + ".expected.jsonl"), lines, StandardCharsets.UTF_8);
    }

    private static String line(String text, Classifier classifier, Instances data) throws Exception {
        Instances structure = data.stringFreeStructure();
        DenseInstance row = new DenseInstance(2);
        row.setDataset(structure);
        row.setValue(1 - data.classIndex(), structure.attribute("text").addStringValue(text));
        double[] distribution = classifier.distributionForInstance(row);
        StringBuilder bits = new StringBuilder();
        for (int label = 0; label < distribution.length; label++) {
            bits.append(label == 0 ? "" : ", ").append(quoted(data.classAttribute().value(label)))
                .append(String.format(": \"%016x\"", Double.doubleToRawLongBits(distribution[label])));
        }
        String label = data.classAttribute().value(Utils.maxIndex(distribution));
        return "{\"text\": " + quoted(text) + ", \"label\": " + quoted(label) + ", \"bits\": {" + bits + "}}";
    }

    /** A JSON string with everything but printable ASCII escaped. */
    private static String quoted(String text) {
        StringBuilder out = new StringBuilder("\"");
        for (char c : text.toCharArray()) {
            boolean plain = c >= ' ' && c <= '~' && c != '"' && c != '\\';
            out.append(plain ? String.valueOf(c) : String.format("\\u%04x", (int) c));
        }
        return out.append('"').toString();
    }
}
