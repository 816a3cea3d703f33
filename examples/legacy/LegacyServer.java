import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.Executors;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/** The old system: all WEKA models of some folders in one process, at POST /score/{model}. */
final class LegacyServer {
    private static final String PATH = "/score/";
    private static final String LINES = "application/jsonlines";
    private static final int THREADS = 16;

    private final Map<String, WekaModel> models;

    private LegacyServer(Map<String, WekaModel> models) {
        this.models = models;
    }

    public static void main(String[] arguments) throws Exception {
        int port = Integer.parseInt(options(arguments, "--port").get(0));
        LegacyServer system = new LegacyServer(load(options(arguments, "--models")));
        HttpServer server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), port), 128);
        server.setExecutor(Executors.newFixedThreadPool(THREADS));
        server.createContext("/", system::answer);
        server.start();
        System.out.println("legacy server listening on http://127.0.0.1:" + server.getAddress().getPort());
    }

    /** What follows each occurrence of an option, of which there must be one. */
    static List<String> options(String[] arguments, String name) {
        List<String> values = IntStream.range(0, arguments.length - 1)
            .filter(at -> arguments[at].equals(name)).mapToObj(at -> arguments[at + 1]).toList();
        if (values.isEmpty()) {
            System.err.println("usage: LegacyServer --port PORT --models DIR [--models DIR]...");
            System.exit(64);
        }
        return values;
    }

    /** Every `.model` file in the folders and below, by its name. */
    static Map<String, WekaModel> load(List<String> folders) throws Exception {
        Map<String, WekaModel> models = new TreeMap<>();
        for (String folder : folders) {
            try (Stream<Path> files = Files.walk(Path.of(folder))) {
                for (Path file : (Iterable<Path>) files.sorted()::iterator) {
                    String name = file.getFileName().toString();
                    if (name.endsWith(".model")) {
                        models.put(name.substring(0, name.length() - ".model".length()), WekaModel.load(file));
                    }
                }
            }
        }
        return models;
    }

    private void answer(HttpExchange exchange) throws IOException {
        try (exchange) {
            String path = exchange.getRequestURI().getPath();
            WekaModel model = path.startsWith(PATH) ? models.get(path.substring(PATH.length())) : null;
            if (model == null) {
                refuse(exchange, 404, "no model at " + path + "; there are " + models.keySet());
            } else if (!exchange.getRequestMethod().equals("POST")) {
                refuse(exchange, 405, "use POST");
            } else {
                score(exchange, model);
            }
        }
    }

    private static void score(HttpExchange exchange, WekaModel model) throws IOException {
        try {
            String type = mediaType(exchange, "Content-Type");
            byte[] body = exchange.getRequestBody().readAllBytes();
            switch (type) {
                case LINES -> send(exchange, 200, LINES, lines(body, model));
                case "text/plain" -> {
                    boolean asLine = mediaType(exchange, "Accept").equals(LINES);
                    send(exchange, 200, asLine ? LINES : "application/json", prediction(decode(body), model) + "\n");
                }
                default -> refuse(exchange, 400, "send " + LINES + " or text/plain, not `" + type + "`");
            }
        } catch (CharacterCodingException fault) {
            refuse(exchange, 400, "the body is not UTF-8");
        } catch (Exception fault) {
            refuse(exchange, 500, fault.toString());
        }
    }

    private static String mediaType(HttpExchange exchange, String header) {
        String value = exchange.getRequestHeaders().getFirst(header);
        return value == null ? "" : value.split(";")[0].strip().toLowerCase(Locale.ROOT);
    }

    private static String decode(byte[] body) throws CharacterCodingException {
        return StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(body)).toString();
    }

    /** One prediction a line; a line that can't be scored has its error in its place. */
    private static String lines(byte[] body, WekaModel model) {
        StringBuilder answers = new StringBuilder();
        int number = 0;
        for (int from = 0, to; from < body.length; from = to + 1) {
            number++;
            to = from;
            while (to < body.length && body[to] != '\n') {
                to++;
            }
            byte[] line = Arrays.copyOfRange(body, from, to);
            if (!isBlank(line)) {
                answers.append(line(number, line, model)).append('\n');
            }
        }
        return answers.toString();
    }

    private static boolean isBlank(byte[] line) {
        return new String(line, StandardCharsets.ISO_8859_1).matches("[ \t\r\f]*");
    }

    private static String line(int number, byte[] line, WekaModel model) {
        try {
            return prediction(WekaModel.content(Json.read(decode(line))), model);
        } catch (CharacterCodingException fault) {
            return error(number, 400, "the line is not UTF-8");
        } catch (Unscorable fault) {
            return error(number, 422, fault.getMessage());
        } catch (IllegalArgumentException fault) {
            return error(number, 400, fault.getMessage());
        } catch (Exception fault) {
            return error(number, 500, fault.getMessage());
        }
    }

    private static String error(int number, int status, String detail) {
        Map<String, Object> error = new LinkedHashMap<>();
        error.put("type", status == 400 ? "/problems/malformed" : status == 422 ? "/problems/unscorable" : "/problems/model-failed");
        error.put("title", status == 400 ? "Bad Request" : status == 422 ? "Unprocessable Entity" : "Internal Server Error");
        error.put("status", status);
        error.put("detail", detail);
        Map<String, Object> answer = new LinkedHashMap<>();
        answer.put("line", number);
        answer.put("error", error);
        return Json.write(answer);
    }

    private static String prediction(String content, WekaModel model) throws Exception {
        Map<String, Double> scores = model.score(content);
        String label = WekaModel.best(scores);
        Map<String, Object> prediction = new LinkedHashMap<>();
        prediction.put("label", label);
        prediction.put("score", scores.get(label));
        prediction.put("scores", scores);
        return Json.write(prediction);
    }

    private static void refuse(HttpExchange exchange, int status, String message) throws IOException {
        send(exchange, status, "application/json", Json.write(Map.of("error", message)) + "\n");
    }

    private static void send(HttpExchange exchange, int status, String type, String body) throws IOException {
        // A body left unread would end the connection.
        exchange.getRequestBody().readAllBytes();
        byte[] bytes = body.getBytes(StandardCharsets.UTF_8);
        exchange.getResponseHeaders().set("Content-Type", type);
        exchange.sendResponseHeaders(status, bytes.length == 0 ? -1 : bytes.length);
        exchange.getResponseBody().write(bytes);
    }
}
