import java.nio.file.Path;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import weka.classifiers.Classifier;
import weka.classifiers.meta.FilteredClassifier;
import weka.core.Attribute;
import weka.core.DenseInstance;
import weka.core.Instance;
import weka.core.Instances;
import weka.core.SerializationHelper;

/** A classifier of one text, read from a file that holds it and its header. */
final class WekaModel {
    private static final List<String> FIELDS = List.of("title", "text");

    private final Classifier classifier;
    private final Instances header;
    private final Attribute text;

    private WekaModel(Classifier classifier, Instances header, Attribute text) {
        this.classifier = classifier;
        this.header = header;
        this.text = text;
    }

    static WekaModel load(Path file) throws Exception {
        Object[] objects = SerializationHelper.readAll(file.toString());
        if (objects.length != 2 || !(objects[1] instanceof Instances header) || header.numAttributes() != 2) {
            throw new IllegalArgumentException(file + " must hold a classifier and a header of a text and a class");
        }
        return new WekaModel((Classifier) objects[0], header, header.attribute(1 - header.classIndex()));
    }

    /** The probability of each label, in the order of the class attribute. Filters keep state, hence one text at a time. */
    synchronized Map<String, Double> score(String content) throws Exception {
        text.setStringValue(content);
        Instance row = new DenseInstance(2);
        row.setDataset(header);
        row.setValue(text, 0);
        double[] distribution = distribution(row);
        Map<String, Double> scores = new LinkedHashMap<>();
        for (int label = 0; label < distribution.length; label++) {
            scores.put(header.classAttribute().value(label), distribution[label]);
        }
        return scores;
    }

    private double[] distribution(Instance row) throws Exception {
        try {
            return classifier.distributionForInstance(row);
        } catch (IllegalArgumentException fault) {
            throw new IllegalStateException("the model fails: " + fault.getMessage(), fault);
        }
    }

    /** The words that the model knows, in the order of its attributes. */
    List<String> words() {
        Instances filtered = ((FilteredClassifier) classifier).getFilter().getOutputFormat();
        return Collections.list(filtered.enumerateAttributes()).stream().map(Attribute::name).toList();
    }

    /** The content's title and text, those present, joined by a line break. */
    static String content(Object fields) {
        if (!(fields instanceof Map<?, ?> members)) {
            throw new IllegalArgumentException("expected an object of fields");
        }
        members.forEach(WekaModel::check);
        StringBuilder content = new StringBuilder();
        boolean found = false;
        for (String name : FIELDS) {
            Object value = members.get(name);
            if (value instanceof String part) {
                content.append(found ? "\n" : "").append(part);
                found = true;
            } else if (value != null) {
                throw new Unscorable("field `" + name + "` must be a text");
            }
        }
        if (!found) {
            throw new Unscorable("none of the fields `title`, `text` is present");
        }
        return content.toString();
    }

    /** Refuses half a surrogate pair, and a number that no double is, where it would be read. */
    private static void check(Object name, Object value) {
        boolean isRead = FIELDS.contains(name);
        if (isHalved((String) name) || isRead && value instanceof String text && isHalved(text)) {
            throw new IllegalArgumentException("there is half a surrogate pair in a text or a name");
        }
        if (isRead && value instanceof Double number && number.isInfinite()) {
            throw new IllegalArgumentException("the number in `" + name + "` is out of range");
        }
    }

    private static boolean isHalved(String text) {
        return text.codePoints().anyMatch(point -> point >= Character.MIN_SURROGATE && point <= Character.MAX_SURROGATE);
    }

    /** The label with the highest score, the first of equals. */
    static String best(Map<String, Double> scores) {
        double highest = Collections.max(scores.values());
        return scores.entrySet().stream().filter(entry -> entry.getValue() == highest).findFirst().orElseThrow().getKey();
    }
}
