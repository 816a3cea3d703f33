import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import weka.classifiers.Evaluation;
import weka.classifiers.bayes.NaiveBayesMultinomial;
import weka.classifiers.meta.FilteredClassifier;
import weka.core.Attribute;
import weka.core.DenseInstance;
import weka.core.Instance;
import weka.core.Instances;
import weka.core.SerializationHelper;
import weka.core.Utils;
import weka.core.tokenizers.WordTokenizer;
import weka.filters.unsupervised.attribute.StringToWordVector;

/** Trains `spam` and `offensive` with WEKA and prints how they do on a fifth of the data held out. */
final class Train {
    static final String WORDS = " \r\n\t.,;:'\"()?!/\\[]{}<>|~&#“”‘’…–—";
    static final int SEED = 1;
    /** No word is this name, and an attribute's name must be unique. */
    static final String CLASS = "@@class@@";
    /** How much of what is moderated is taken to be clean; of the tweets, a sixth is. */
    private static final double CLEAN_SHARE = 0.8;

    public static void main(String[] arguments) throws Exception {
        Path data = Path.of(arguments[0]);
        Path models = Path.of(arguments[1]);

        Instances messages = messages(data.resolve("sms-spam.tsv"));
        FilteredClassifier spam = classifier("-W 2000 -M 2 -C -L", null);
        report("spam", spam, messages);
        write(spam, messages, models.resolve("spam/spam.model"));

        Instances tweets = tweets(data.resolve("offensive-tweets.csv"));
        // IDF is left out: it makes rare words of another trade, as in reviews, look like evidence.
        FilteredClassifier offensive = classifier("-W 1500 -M 3 -C -T -N 1 -L", WORDS);
        report("offensive", offensive, tweets);
        write(offensive, tweets, models.resolve("offensive/offensive.model"));
    }

    static FilteredClassifier classifier(String options, String delimiters) throws Exception {
        StringToWordVector words = new StringToWordVector();
        words.setOptions(Utils.splitOptions(options));
        if (delimiters != null) {
            ((WordTokenizer) words.getTokenizer()).setDelimiters(delimiters);
        }
        FilteredClassifier classifier = new FilteredClassifier();
        classifier.setFilter(words);
        classifier.setClassifier(new NaiveBayesMultinomial());
        return classifier;
    }

    /** Lines of a label, a tab and the text; the class is the last attribute. */
    static Instances messages(Path file) throws IOException {
        Instances rows = rows("messages", List.of("ham", "spam"), 1);
        for (String line : Files.readAllLines(file, StandardCharsets.UTF_8)) {
            String[] parts = line.split("\t", 2);
            if (parts.length == 2) {
                add(rows, parts[1], parts[0]);
            }
        }
        return rows;
    }

    /** The tweets, hate speech and offence in one class, weighted to CLEAN_SHARE. The class is the first attribute. */
    private static Instances tweets(Path file) throws IOException {
        Instances rows = rows("tweets", List.of("clean", "offensive"), 0);
        List<List<String>> records = csv(Files.readString(file, StandardCharsets.UTF_8));
        int label = records.get(0).indexOf("class");
        int text = records.get(0).indexOf("tweet");
        for (List<String> record : records.subList(1, records.size())) {
            add(rows, words(record.get(text)), record.get(label).equals("2") ? "clean" : "offensive");
        }
        int[] counts = rows.attributeStats(0).nominalCounts;
        for (Instance row : rows) {
            double share = row.classValue() == 0 ? CLEAN_SHARE : 1 - CLEAN_SHARE;
            row.setWeight(rows.size() * share / counts[(int) row.classValue()]);
        }
        return rows;
    }

    /** A tweet without user names, addresses and HTML entities, which say nothing about a review. */
    static String words(String tweet) {
        return tweet.replaceAll("https?://\\S+|@\\w+|\\bRT\\b|&#?\\w+;", " ");
    }

    static Instances rows(String name, List<String> labels, int classIndex) {
        ArrayList<Attribute> attributes = new ArrayList<>();
        attributes.add(new Attribute("text", (List<String>) null));
        attributes.add(classIndex, new Attribute(CLASS, labels));
        Instances rows = new Instances(name, attributes, 0);
        rows.setClassIndex(classIndex);
        return rows;
    }

    static void add(Instances rows, String text, String label) {
        Instance row = new DenseInstance(2);
        row.setDataset(rows);
        row.setValue(1 - rows.classIndex(), rows.attribute("text").addStringValue(text));
        row.setClassValue(label);
        rows.add(row);
    }

    /** The records of a CSV text; fields may be quoted and then hold commas, line breaks and doubled quotes. */
    static List<List<String>> csv(String text) {
        List<List<String>> records = new ArrayList<>();
        List<String> record = new ArrayList<>();
        StringBuilder field = new StringBuilder();
        boolean quoted = false;
        char previous = '\n';
        for (char c : text.toCharArray()) {
            if (c == '"') {
                // A doubled quote closes and opens again; the second one is text.
                quoted = !quoted;
                if (quoted && previous == '"') {
                    field.append('"');
                }
            } else if (!quoted && (c == ',' || c == '\n')) {
                record.add(field.toString().strip());
                field.setLength(0);
                if (c == '\n') {
                    records.add(record);
                    record = new ArrayList<>();
                }
            } else {
                field.append(c);
            }
            previous = c;
        }
        return records;
    }

    /** Trains on four fifths and prints what the rest shows, rows weighted as in training. */
    private static void report(String name, FilteredClassifier classifier, Instances rows) throws Exception {
        Instances shuffled = new Instances(rows);
        shuffled.randomize(new Random(SEED));
        int training = shuffled.size() * 4 / 5;
        Evaluation evaluation = new Evaluation(shuffled);
        classifier.buildClassifier(new Instances(shuffled, 0, training));
        evaluation.evaluateModel(classifier, new Instances(shuffled, training, shuffled.size() - training));
        System.out.printf(
            "%s: %d texts, %d of them held out: accuracy %.3f, precision %.3f and recall %.3f of `%s`%n",
            name, rows.size(), shuffled.size() - training, evaluation.pctCorrect() / 100,
            evaluation.precision(1), evaluation.recall(1), rows.classAttribute().value(1));
    }

    /** Trains on everything and writes the model, followed by its header. */
    static void write(FilteredClassifier classifier, Instances rows, Path path) throws Exception {
        classifier.buildClassifier(rows);
        SerializationHelper.writeAll(path.toString(), new Object[] {classifier, rows.stringFreeStructure()});
        System.out.printf("%s: %d bytes%n", path.getFileName(), Files.size(path));
    }
}
