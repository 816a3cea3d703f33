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
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.Executors;
import java.util.stream.Stream;

/** The old system: all WEKA models of a folder in one process, at POST /score/{model}. */
final class LegacyServer {
    private static final String PATH = "/score/";
    private static final int THREADS = 16;

    private final Map<String, WekaModel> models;

    private LegacyServer(Map<String, WekaModel> models) {
        this.models = models;
    }

    public static void main(String[] arguments) throws Exception {
        int port = Integer.parseInt(option(arguments, "--port"));
        LegacyServer system = new LegacyServer(load(Path.of(option(arguments, "--models"))));
        HttpServer server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), port), 128);
        server.setExecutor(Executors.newFixedThreadPool(THREADS));
        server.createContext("/", system::answer);
        server.start();
        System.out.println("legacy server listening on http://127.0.0.1:" + server.getAddress().getPort());
    }

    private static String option(String[] arguments, String name) {
        int at = List.of(arguments).indexOf(name);
        if (at < 0 || at + 1 == arguments.length) {
            System.err.println("usage: LegacyServer --port PORT --models DIR");
            System.exit(64);
        }
        return arguments[at + 1];
    }

    /** Every `.model` file in the folder and below, by its name. */
    private static Map<String, WekaModel> load(Path folder) throws Exception {
        Map<String, WekaModel> models = new TreeMap<>();
        try (Stream<Path> files = Files.walk(folder)) {
            for (Path file : (Iterable<Path>) files.sorted()::iterator) {
                String name = file.getFileName().toString();
                if (name.endsWith(".model")) {
                    models.put(name.substring(0, name.length() - ".model".length()), WekaModel.load(file));
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
            String header = exchange.getRequestHeaders().getFirst("Content-Type");
            String type = header == null ? "" : header.split(";")[0].strip().toLowerCase();
            String body = decode(exchange.getRequestBody().readAllBytes());
            switch (type) {
                case "application/jsonlines" -> send(exchange, 200, type, lines(body, model));
                case "text/plain" -> send(exchange, 200, "application/json", prediction(body, model) + "\n");
                default -> refuse(exchange, 400, "send application/jsonlines or text/plain, not `" + type + "`");
            }
        } catch (CharacterCodingException fault) {
            refuse(exchange, 400, "the body is not UTF-8");
        } catch (IllegalArgumentException fault) {
            refuse(exchange, 400, fault.getMessage());
        } catch (Exception fault) {
            refuse(exchange, 500, fault.toString());
        }
    }

    private static String decode(byte[] body) throws CharacterCodingException {
        return StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(body)).toString();
    }

    /** One prediction a line. A line that can't be read fails the whole request, by its number. */
    private static String lines(String body, WekaModel model) throws Exception {
        StringBuilder answers = new StringBuilder();
        int number = 0;
        for (String line : body.split("\n")) {
            number++;
            if (line.isBlank()) {
                continue;
            }
            try {
                answers.append(prediction(WekaModel.content(Json.read(line)), model)).append('\n');
            } catch (IllegalArgumentException fault) {
                throw new IllegalArgumentException("line " + number + ": " + fault.getMessage());
            }
        }
        return answers.toString();
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
