/** A content that is well-formed and has nothing to score. */
final class Unscorable extends IllegalArgumentException {
    Unscorable(String message) {
        super(message);
    }
}
