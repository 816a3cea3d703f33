import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Random;
import weka.classifiers.Evaluation;
import weka.classifiers.meta.FilteredClassifier;
import weka.core.Instances;

/** Trains `phrases`, `severity` and `language` with WEKA and prints how they do on a fifth held out. */
final class TrainLegacy {
    private static final int SEED = 1;
    private static final String RUNS = "-tokenizer \"weka.core.tokenizers.NGramTokenizer -min 1 -max 3\"";
    private static final String STOP_WORDS = "-stopwords-handler weka.core.stopwords.Rainbow";
    /** No apostrophe among them, which is a letter of some languages' words. */
    private static final String DELIMITERS = " \r\n\t.,;:\"()?!،؟";

    public static void main(String[] arguments) throws Exception {
        Path data = Path.of(arguments[0]);
        Path models = Path.of(arguments[1]);
        train("phrases", models, Train.messages(data.resolve("sms-spam.tsv")),
            Train.classifier("-W 500 -M 3 -I " + RUNS, null));
        train("severity", models, tweets(data.resolve("offensive-tweets.csv")),
            Train.classifier("-W 500 -M 5 -C -T -I -N 2 " + STOP_WORDS, null));
        train("language", models, languages(models.resolve("languages.tsv")),
            Train.classifier("-W 1000 -M 1 -C -L -O", DELIMITERS));
    }

    /** The tweets in the three classes that people gave them. */
    private static Instances tweets(Path file) throws IOException {
        List<String> labels = List.of("hate", "offensive", "neither");
        Instances rows = Train.rows("tweets", labels, 1);
        List<List<String>> records = Train.csv(Files.readString(file, StandardCharsets.UTF_8));
        int label = records.get(0).indexOf("class");
        int text = records.get(0).indexOf("tweet");
        for (List<String> record : records.subList(1, records.size())) {
            Train.add(rows, Train.words(record.get(text)), labels.get(Integer.parseInt(record.get(label))));
        }
        return rows;
    }

    /** Lines of a language, a tab and a sentence. */
    private static Instances languages(Path file) throws IOException {
        List<String[]> lines = Files.readAllLines(file, StandardCharsets.UTF_8).stream().map(line -> line.split("\t", 2)).toList();
        Instances rows = Train.rows("languages", lines.stream().map(line -> line[0]).distinct().toList(), 1);
        lines.forEach(line -> Train.add(rows, line[1], line[0]));
        return rows;
    }

    private static void train(String name, Path models, Instances rows, FilteredClassifier classifier) throws Exception {
        Instances shuffled = new Instances(rows);
        shuffled.randomize(new Random(SEED));
        int training = shuffled.size() * 4 / 5;
        classifier.buildClassifier(new Instances(shuffled, 0, training));
        Evaluation evaluation = new Evaluation(shuffled);
        evaluation.evaluateModel(classifier, new Instances(shuffled, training, shuffled.size() - training));
        System.out.printf("%s: %d texts, %d of them held out: accuracy %.3f%n",
            name, rows.size(), shuffled.size() - training, evaluation.pctCorrect() / 100);
        Files.createDirectories(models.resolve(name));
        Train.write(classifier, rows, models.resolve(name).resolve(name + ".model"));
    }
}
