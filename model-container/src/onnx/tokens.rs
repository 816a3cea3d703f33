//! A text as the token ids that a transformer reads, cut off and padded.

use std::fs;
use std::path::Path;

use tokenizers::{Encoding, PaddingParams, Tokenizer, TruncationParams};

/// How long a text may be where neither the package nor the tokenizer's file says it.
const DEFAULT_TOKENS: usize = 512;
/// Texts are padded to a multiple of this, so that the scores of a text don't depend on how long
/// the others of its batch are, and memory is needed in few sizes.
const BUCKET: usize = 16;
/// The largest tokenizer's file that is read.
const MAX_FILE_BYTES: u64 = 64 << 20;

/// A tokenizer with its limits.
pub(super) struct Tokens {
    tokenizer: Tokenizer,
    padding: PaddingParams,
    max_tokens: usize,
    lengths: Lengths,
}

/// How many tokens a row has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lengths {
    /// As many as the text: the model has no mask, so it would read padding as text.
    Own,
    /// A multiple of [`BUCKET`].
    Bucketed,
    /// Always this many, since the model takes no others.
    Fixed(usize),
}

impl Tokens {
    /// Reads a `tokenizer.json`.
    pub(super) fn load(
        path: &Path,
        max_tokens: Option<usize>,
        lengths: Lengths,
    ) -> Result<Self, String> {
        let size = fs::metadata(path).map_err(|error| error.to_string())?.len();
        if size > MAX_FILE_BYTES {
            return Err(format!("it has {size} bytes, more than {MAX_FILE_BYTES}"));
        }
        let mut tokenizer = Tokenizer::from_file(path).map_err(|error| error.to_string())?;
        let truncation = tokenizer.get_truncation().cloned();
        let padding = tokenizer.get_padding().cloned();
        let padding = padding.unwrap_or_else(|| default_padding(&tokenizer));
        let written = truncation.as_ref().map_or(DEFAULT_TOKENS, |it| it.max_length);
        let most = if let Lengths::Fixed(length) = lengths { length } else { usize::MAX };
        let max_tokens = max_tokens.unwrap_or(written).min(most).max(1);
        let truncation =
            TruncationParams { max_length: max_tokens, ..truncation.unwrap_or_default() };
        tokenizer.with_padding(None);
        tokenizer.with_truncation(Some(truncation)).map_err(|error| error.to_string())?;
        Ok(Self { tokenizer, padding, max_tokens, lengths })
    }

    /// The tokens of a text, with the special ones around it.
    pub(super) fn encode(&self, text: &str) -> Result<Encoding, String> {
        let encoding = self.tokenizer.encode_fast(text, true);
        Ok(self.padded(encoding.map_err(|error| format!("its tokenizer failed: {error}"))?))
    }

    /// What a model that fits this tokenizer can read: its highest id, and the longest text.
    pub(super) fn extremes(&self) -> [(String, Encoding); 2] {
        let pad_id = self.padding.pad_id;
        let ids: Vec<_> = self.tokenizer.get_vocab(true).into_values().collect();
        let highest = ids.iter().copied().max().unwrap_or(0);
        // RoBERTa counts its positions without padding, so that would not reach the last of them.
        let real = ids.into_iter().filter(|&id| id != pad_id).max().unwrap_or(highest);
        let row = |id, length| {
            let token = tokenizers::Token::new(id, String::new(), (0, 0));
            self.padded(Encoding::from_tokens(vec![token; length], 0))
        };
        let length = format!("a text of {} tokens (`max_tokens` of [onnx])", self.max_tokens);
        [
            (
                format!("its tokenizer's highest id, {highest}"),
                row(highest, BUCKET.min(self.max_tokens)),
            ),
            (length, row(real, self.max_tokens)),
        ]
    }

    fn padded(&self, mut encoding: Encoding) -> Encoding {
        let own = encoding.len().max(1);
        let length = match self.lengths {
            Lengths::Own => own,
            Lengths::Bucketed => own.next_multiple_of(BUCKET).min(self.max_tokens),
            Lengths::Fixed(length) => length,
        };
        let PaddingParams { pad_id, pad_type_id, pad_token, direction, .. } = &self.padding;
        encoding.pad(length, *pad_id, *pad_type_id, pad_token, *direction);
        encoding
    }
}

/// Padding is masked, so its id matters only where there is none of the usual tokens for it.
fn default_padding(tokenizer: &Tokenizer) -> PaddingParams {
    let ids = ["[PAD]", "<pad>"].iter().find_map(|token| tokenizer.token_to_id(token));
    PaddingParams { pad_id: ids.unwrap_or(0), ..PaddingParams::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(lengths: Lengths) -> Tokens {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let file = root.join("tests/onnx/transformer/tokenizer.json");
        Tokens::load(&file, Some(64), lengths).unwrap()
    }

    #[test]
    fn only_a_model_with_a_mask_gets_padding() {
        let own = tokens(Lengths::Own).encode("great sound").unwrap();
        assert!(own.get_attention_mask().iter().all(|&mask| mask == 1), "{own:?}");
        let bucketed = tokens(Lengths::Bucketed).encode("great sound").unwrap();
        assert_eq!(bucketed.len(), BUCKET);
        assert!(own.len() < BUCKET && bucketed.get_ids().starts_with(own.get_ids()));
        assert_eq!(tokens(Lengths::Fixed(40)).encode("great sound").unwrap().len(), 40);
    }

    #[test]
    fn the_longest_text_that_is_tried_has_no_padding() {
        let tokens = tokens(Lengths::Bucketed);
        let [_, (_, longest)] = tokens.extremes();
        assert_eq!(longest.len(), 64);
        assert!(longest.get_ids().iter().all(|&id| id != tokens.padding.pad_id));
    }
}
