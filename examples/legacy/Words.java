import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;

/** Prints the words that each model knows, a model a line. */
final class Words {
    public static void main(String[] arguments) throws Exception {
        PrintStream out = new PrintStream(System.out, false, StandardCharsets.UTF_8);
        for (Map.Entry<String, WekaModel> model : LegacyServer.load(LegacyServer.options(arguments, "--models")).entrySet()) {
            Map<String, Object> line = new LinkedHashMap<>();
            line.put("model", model.getKey());
            line.put("words", model.getValue().words());
            out.println(Json.write(line));
        }
        out.flush();
    }
}
