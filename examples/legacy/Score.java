import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;

/** Scores objects of fields, one a line, from standard input: the label, and the 64 bits of each score. */
final class Score {
    public static void main(String[] arguments) throws Exception {
        WekaModel model = WekaModel.load(Path.of(arguments[0]));
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        PrintStream out = new PrintStream(System.out, false, StandardCharsets.UTF_8);
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            out.println(answer(model.score(WekaModel.content(Json.read(line)))));
        }
        out.flush();
    }

    private static String answer(Map<String, Double> scores) {
        Map<String, Object> bits = new LinkedHashMap<>();
        scores.forEach((label, score) -> bits.put(label, String.format("%016x", Double.doubleToRawLongBits(score))));
        Map<String, Object> answer = new LinkedHashMap<>();
        answer.put("label", WekaModel.best(scores));
        answer.put("bits", bits);
        return Json.write(answer);
    }
}
