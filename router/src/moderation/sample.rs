//! Draws the contents that people look at, the same ones whoever asks and however often.

use sha2::{Digest, Sha256};

use super::content::ContentId;

/// Whether the content is among the share that is drawn. A higher probability draws those of a
/// lower one and more.
pub(super) fn is_sampled(content_id: &ContentId, inclusion_probability: f64) -> bool {
    inclusion_probability > 0.0 && place(content_id) < inclusion_probability
}

/// The content's own number in [0, 1), as good as random: the first 53 bits of its id's hash, as
/// many as a double holds.
fn place(content_id: &ContentId) -> f64 {
    let digest = Sha256::digest(content_id.as_str());
    let first = digest.iter().take(8).fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
    (first >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_are_drawn_as_asked_for_and_always_the_same() {
        let ids: Vec<_> =
            (0..20_000).map(|i| ContentId::try_from(format!("r-{i}")).unwrap()).collect();
        let drawn = |share| ids.iter().filter(|id| is_sampled(id, share)).count();
        assert_eq!((drawn(0.0), drawn(1.0)), (0, 20_000));
        assert_eq!(drawn(0.1), drawn(0.1));
        // Four standard deviations of a binomial distribution are 170.
        assert!(drawn(0.1).abs_diff(2000) < 170, "{}", drawn(0.1));
    }
}
