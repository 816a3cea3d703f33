import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import weka.classifiers.meta.FilteredClassifier;
import weka.classifiers.trees.RandomForest;
import weka.core.Attribute;
import weka.core.DenseInstance;
import weka.core.Instance;
import weka.core.Instances;
import weka.core.SerializationHelper;
import weka.filters.unsupervised.attribute.StringToWordVector;

/** Writes forest.model, a random forest over words, and what WEKA answers for a few texts. */
final class Forest {
    private static final String[] ADS = {
        "win a free prize now", "free gift, call now", "cheap watches, cheap prices", "you win money",
        "click the link for a free offer", "cheap loans now", "claim your prize", "free delivery, call us",
    };
    private static final String[] CLEAN = {
        "I love this beer", "great taste and a lovely bottle", "it broke after a week", "very good quality",
        "my children love it", "the smell is terrible", "works well, fair price", "the best pint of the year",
    };
    private static final String[] TEXTS = {"win a free beer", "a lovely taste", "", "call now, free prize money", "größe"};

    public static void main(String[] arguments) throws Exception {
        Path folder = Path.of(arguments[0]);
        ArrayList<Attribute> attributes = new ArrayList<>();
        attributes.add(new Attribute("text", (List<String>) null));
        attributes.add(new Attribute("@@class@@", List.of("clean", "ad")));
        Instances rows = new Instances("contents", attributes, 0);
        rows.setClassIndex(1);
        for (String text : CLEAN) {
            rows.add(row(rows, text, 0));
        }
        for (String text : ADS) {
            rows.add(row(rows, text, 1));
        }
        RandomForest forest = new RandomForest();
        forest.setNumIterations(10);
        forest.setSeed(1);
        FilteredClassifier classifier = new FilteredClassifier();
        classifier.setFilter(new StringToWordVector());
        classifier.setClassifier(forest);
        classifier.buildClassifier(rows);
        Instances header = rows.stringFreeStructure();
        SerializationHelper.writeAll(folder.resolve("forest.model").toString(), new Object[] {classifier, header});

        StringBuilder expected = new StringBuilder();
        for (String text : TEXTS) {
            double[] scores = classifier.distributionForInstance(row(rows, text, 0));
            expected.append(String.format(
                "{\"text\": \"%s\", \"scores\": {\"clean\": %s, \"ad\": %s}}%n", text, scores[0], scores[1]));
        }
        Files.writeString(folder.resolve("forest.expected.jsonl"), expected, StandardCharsets.UTF_8);
    }

    private static Instance row(Instances rows, String text, int label) {
        Instance row = new DenseInstance(2);
        row.setDataset(rows);
        row.setValue(0, rows.attribute(0).addStringValue(text));
        row.setValue(1, label);
        return row;
    }
}
