import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import weka.classifiers.Classifier;
import weka.core.Attribute;
import weka.core.DenseInstance;
import weka.core.Instance;
import weka.core.Instances;
import weka.core.SerializationHelper;
import weka.core.Utils;

/**
 * Runs any WEKA classifier on the real weka.jar, as a worker of the model container.
 *
 * <pre>
 * runtime = "worker"
 * command = ["java", "-cp", "weka.jar", "--source", "17", "{WekaWorker.java}", "NAME.model"]
 * labels = ["ham", "spam"]
 * </pre>
 *
 * The file holds a classifier and the header of its data, as WEKA's Explorer saves it. A request's
 * field becomes the attribute of its name; where the header has one string attribute, it gets all
 * texts that are no other's, joined by a line break. What is left is missing.
 * Needs a JDK of version 17; compiled by `javac -cp weka.jar WekaWorker.java`, a JRE will do, with
 * the command ["java", "-cp", "weka.jar:.", "WekaWorker", "NAME.model"].
 *
 * Scores have the bits of another machine only where Math is StrictMath on both:
 * -XX:+UnlockDiagnosticVMOptions -XX:-UseLibmIntrinsic.
 */
final class WekaWorker {
    private final Classifier classifier;
    private final Instances header;
    /** The one string attribute, or null. */
    private final Attribute text;

    public static void main(String[] arguments) throws Exception {
        PrintStream replies = new PrintStream(System.out, false, StandardCharsets.UTF_8);
        // What WEKA prints is no reply.
        System.setOut(System.err);
        BufferedReader requests = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        WekaWorker worker = load(arguments);
        for (String line = requests.readLine(); line != null; line = requests.readLine()) {
            replies.print(worker.reply((Map<?, ?>) Json.read(line)) + "\n");
            replies.flush();
        }
    }

    private WekaWorker(Classifier classifier, Instances header, Attribute text) {
        this.classifier = classifier;
        this.header = header;
        this.text = text;
    }

    private static WekaWorker load(String[] arguments) throws Exception {
        if (arguments.length != 1) {
            throw new IllegalArgumentException("expected one argument, the model's file");
        }
        Object[] objects = SerializationHelper.readAll(arguments[0]);
        if (objects.length != 2 || !(objects[0] instanceof Classifier classifier)
                || !(objects[1] instanceof Instances header) || header.classIndex() < 0) {
            throw new IllegalArgumentException(arguments[0] + " must hold a classifier and its header with a class");
        }
        Attribute text = null;
        int strings = 0;
        for (int index = 0; index < header.numAttributes(); index++) {
            if (index != header.classIndex() && header.attribute(index).isString()) {
                text = header.attribute(index);
                strings++;
            }
        }
        return new WekaWorker(classifier, header, strings == 1 ? text : null);
    }

    private String reply(Map<?, ?> request) {
        Map<String, Object> reply = new LinkedHashMap<>();
        reply.put("id", ((Double) request.get("id")).longValue());
        try {
            reply.put("scores", score((Map<?, ?>) request.get("input")));
        } catch (Exception fault) {
            fault.printStackTrace();
            reply.put("error", fault.toString());
        }
        return Json.write(reply);
    }

    /** The probability of each label, or the value of a class that is a number. */
    private Map<String, Object> score(Map<?, ?> input) throws Exception {
        double[] distribution = classifier.distributionForInstance(row(input));
        Attribute label = header.classAttribute();
        Map<String, Object> scores = new LinkedHashMap<>();
        for (int index = 0; index < distribution.length; index++) {
            String name = label.isNominal() ? label.value(index) : label.name();
            if (Double.isNaN(distribution[index]) || Double.isInfinite(distribution[index])) {
                throw new ArithmeticException("the score of `" + name + "` is " + distribution[index]);
            }
            scores.put(name, distribution[index]);
        }
        return scores;
    }

    private Instance row(Map<?, ?> input) {
        Instance row = new DenseInstance(header.numAttributes());
        row.setDataset(header);
        for (int index = 0; index < header.numAttributes(); index++) {
            row.setMissing(index);
            Attribute attribute = header.attribute(index);
            Object value = attribute == text ? texts(input) : input.get(attribute.name());
            if (value != null && index != header.classIndex()) {
                row.setValue(index, number(attribute, value));
            }
        }
        return row;
    }

    /** The texts that are no other attribute's, joined; null where there is none. */
    private String texts(Map<?, ?> input) {
        List<String> texts = new ArrayList<>();
        for (Map.Entry<?, ?> field : input.entrySet()) {
            Attribute own = header.attribute((String) field.getKey());
            if (field.getValue() instanceof String string && (own == null || own == text)) {
                texts.add(string);
            }
        }
        return texts.isEmpty() ? null : String.join("\n", texts);
    }

    /** A field's value as WEKA stores it: itself, or its place among an attribute's values. */
    private static double number(Attribute attribute, Object value) {
        if (attribute.isNumeric() && value instanceof Double number) {
            return number;
        }
        if (attribute.isString() && value instanceof String string) {
            attribute.setStringValue(string);
            return 0;
        }
        if (attribute.isNominal() && value instanceof String string) {
            int place = attribute.indexOfValue(string);
            // A value that training did not see says nothing.
            return place < 0 ? Utils.missingValue() : place;
        }
        throw new IllegalArgumentException("`" + attribute.name() + "` can't be " + value);
    }
}

/** Reads and writes JSON: objects as maps, arrays as lists, strings, doubles, booleans, null. */
final class Json {
    private static final int DEPTH_LIMIT = 100;

    private final String text;
    private int at;
    private int depth;

    private Json(String text) {
        this.text = text;
    }

    /** The one value that the text holds; throws IllegalArgumentException where it isn't JSON. */
    static Object read(String text) {
        Json reader = new Json(text);
        Object value = reader.value();
        if (reader.peek() != 0) {
            throw reader.fault("nothing after the value");
        }
        return value;
    }

    /** The value as JSON on one line. Doubles are written so that they read back with the same bits. */
    static String write(Object value) {
        StringBuilder out = new StringBuilder();
        write(value, out);
        return out.toString();
    }

    private static void write(Object value, StringBuilder out) {
        if (value instanceof Map<?, ?> members) {
            String separator = "{";
            for (Map.Entry<?, ?> member : members.entrySet()) {
                out.append(separator);
                quote((String) member.getKey(), out);
                out.append(": ");
                write(member.getValue(), out);
                separator = ", ";
            }
            out.append(members.isEmpty() ? "{}" : "}");
        } else if (value instanceof String string) {
            quote(string, out);
        } else if (value instanceof Double number && (number.isNaN() || number.isInfinite())) {
            throw new IllegalArgumentException("JSON has no " + number);
        } else {
            out.append(value);
        }
    }

    private static void quote(String string, StringBuilder out) {
        out.append('"');
        for (char c : string.toCharArray()) {
            if (c == '"' || c == '\\') {
                out.append('\\').append(c);
            } else if (c < ' ' || Character.isSurrogate(c)) {
                // As escapes, even half a pair gets through UTF-8.
                out.append(String.format("\\u%04x", (int) c));
            } else {
                out.append(c);
            }
        }
        out.append('"');
    }

    private Object value() {
        char c = peek();
        if (c == '{' || c == '[') {
            if (++depth > DEPTH_LIMIT) {
                throw fault("less nesting");
            }
            Object nested = c == '{' ? object() : array();
            depth--;
            return nested;
        }
        if (c == '"') {
            return string();
        }
        for (Object word : new Object[] {true, false}) {
            if (text.startsWith(word.toString(), at)) {
                at += word.toString().length();
                return word;
            }
        }
        if (text.startsWith("null", at)) {
            at += 4;
            return null;
        }
        return number();
    }

    private Map<String, Object> object() {
        Map<String, Object> members = new LinkedHashMap<>();
        at++;
        if (peek() == '}') {
            at++;
            return members;
        }
        do {
            if (peek() != '"') {
                throw fault("a member's name");
            }
            String name = string();
            take(':', "a colon");
            members.put(name, value());
        } while (another('}'));
        return members;
    }

    private List<Object> array() {
        List<Object> items = new ArrayList<>();
        at++;
        if (peek() == ']') {
            at++;
            return items;
        }
        do {
            items.add(value());
        } while (another(']'));
        return items;
    }

    /** Takes a comma, after which something follows, or the closing bracket. */
    private boolean another(char closing) {
        if (peek() == ',') {
            at++;
            return true;
        }
        take(closing, "a comma or `" + closing + "`");
        return false;
    }

    private String string() {
        StringBuilder out = new StringBuilder();
        at++;
        while (at < text.length() && text.charAt(at) != '"') {
            char c = text.charAt(at++);
            if (c < ' ') {
                throw fault("no control character inside a string");
            }
            out.append(c == '\\' ? escape() : c);
        }
        if (at == text.length()) {
            throw fault("a closing quote");
        }
        at++;
        return out.toString();
    }

    private char escape() {
        char c = at < text.length() ? text.charAt(at++) : 0;
        int plain = "\"\\/bfnrt".indexOf(c);
        if (c != 0 && plain >= 0) {
            return "\"\\/\b\f\n\r\t".charAt(plain);
        }
        if (c != 'u' || at + 4 > text.length() || !text.substring(at, at + 4).matches("[0-9a-fA-F]{4}")) {
            throw fault("an escape that JSON knows");
        }
        at += 4;
        return (char) Integer.parseInt(text.substring(at - 4, at), 16);
    }

    private Double number() {
        int start = at;
        while (at < text.length() && "+-.0123456789eE".indexOf(text.charAt(at)) >= 0) {
            at++;
        }
        String digits = text.substring(start, at);
        if (!digits.matches("-?(0|[1-9][0-9]*)(\\.[0-9]+)?([eE][+-]?[0-9]+)?")) {
            throw fault("a value");
        }
        return Double.valueOf(digits);
    }

    private void take(char expected, String what) {
        if (peek() != expected) {
            throw fault(what);
        }
        at++;
    }

    /** The next character that isn't white space, or 0 at the end. */
    private char peek() {
        while (at < text.length() && " \t\r\n".indexOf(text.charAt(at)) >= 0) {
            at++;
        }
        return at < text.length() ? text.charAt(at) : 0;
    }

    private IllegalArgumentException fault(String expected) {
        return new IllegalArgumentException("expected " + expected + " at character " + (at + 1));
    }
}
