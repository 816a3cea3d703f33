import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Reads and writes JSON: objects as maps, arrays as lists, strings, doubles, booleans, null. */
final class Json {
    private static final int DEPTH_LIMIT = 1000;

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
        } else if (value instanceof List<?> items) {
            String separator = "[";
            for (Object item : items) {
                out.append(separator);
                write(item, out);
                separator = ", ";
            }
            out.append(items.isEmpty() ? "[]" : "]");
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
