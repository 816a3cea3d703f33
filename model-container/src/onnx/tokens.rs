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
    fixed: Option<usize>,
}

impl Tokens {
    /// Reads a `tokenizer.json`. A model with a `fixed` length gets every text padded to it.
    pub(super) fn load(
        path: &Path,
        max_tokens: Option<usize>,
        fixed: Option<usize>,
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
        let max_tokens = max_tokens.unwrap_or(written).min(fixed.unwrap_or(usize::MAX)).max(1);
        let truncation =
            TruncationParams { max_length: max_tokens, ..truncation.unwrap_or_default() };
        tokenizer.with_padding(None);
        tokenizer.with_truncation(Some(truncation)).map_err(|error| error.to_string())?;
        Ok(Self { tokenizer, padding, max_tokens, fixed })
    }

    /// The tokens of a text, with the special ones around it.
    pub(super) fn encode(&self, text: &str) -> Result<Encoding, String> {
        let encoding = self.tokenizer.encode_fast(text, true);
        Ok(self.padded(encoding.map_err(|error| format!("its tokenizer failed: {error}"))?))
    }

    /// What a model that fits this tokenizer can read: its highest id, and the longest text.
    pub(super) fn extremes(&self) -> [(String, Encoding); 2] {
        let highest = self.tokenizer.get_vocab(true).into_values().max().unwrap_or(0);
        let token = |id| tokenizers::Token::new(id, String::new(), (0, 0));
        let one = Encoding::from_tokens(vec![token(highest)], 0);
        let many = vec![token(self.padding.pad_id); self.max_tokens];
        let many = Encoding::from_tokens(many, 0);
        let length = format!("a text of {} tokens (`max_tokens` of [onnx])", self.max_tokens);
        [
            (format!("its tokenizer's highest id, {highest}"), self.padded(one)),
            (length, self.padded(many)),
        ]
    }

    fn padded(&self, mut encoding: Encoding) -> Encoding {
        let bucket = encoding.len().max(1).next_multiple_of(BUCKET).min(self.max_tokens);
        let length = self.fixed.unwrap_or(bucket);
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
