//! The tokenizers of `StringToWordVector`: a text becomes words, or runs of them.

use std::ops::RangeInclusive;

use super::graph::{Fields, Graph, Value};

const DELIMITED: &str = "weka.core.tokenizers.CharacterDelimitedTokenizer";
const WORDS: &str = "weka.core.tokenizers.WordTokenizer";
const NGRAMS: &str = "weka.core.tokenizers.NGramTokenizer";

/// Every character of a text is compared with each delimiter.
const MAX_DELIMITER_BYTES: usize = 1000;

/// Every word of a text begins a run of each length.
const MAX_RUN: i64 = 10;

/// What `NGramTokenizer` would take for more than characters: there, delimiters are a class of a
/// regular expression.
const MEANINGFUL: &[char] = &['[', ']', '\\', '^', '-', '&'];

/// A trained filter's tokenizer.
pub(super) struct Tokenizer {
    delimiters: String,
    /// How many words make a token, where it is not each word alone.
    runs: Option<RangeInclusive<usize>>,
}

impl Tokenizer {
    /// Reads a tokenizer, and refuses one that `for_each` would not honour.
    pub(super) fn read(graph: &Graph, tokenizer: Value) -> Result<Self, String> {
        let has_runs = graph.class_name(tokenizer) == Some(NGRAMS);
        let object = graph.object(tokenizer, if has_runs { NGRAMS } else { WORDS })?;
        let mut fields = object.fields(DELIMITED)?;
        let delimiters = fields.text("m_Delimiters")?.to_owned();
        fields.finish()?;
        if delimiters.len() > MAX_DELIMITER_BYTES {
            return Err(format!(
                "the tokenizer has over {MAX_DELIMITER_BYTES} bytes of delimiters"
            ));
        }
        let runs = has_runs.then(|| read_runs(object.fields(NGRAMS)?, &delimiters)).transpose()?;
        Ok(Self { delimiters, runs })
    }

    /// Hands each token of `text` to `take`, in an order of its own.
    pub(super) fn for_each(&self, text: &str, mut take: impl FnMut(&str)) {
        let words = text.split(|c| self.delimiters.contains(c)).filter(|word| !word.is_empty());
        let Some(lengths) = &self.runs else {
            return words.for_each(take);
        };
        let words: Vec<&str> = words.collect();
        for run in lengths.clone().flat_map(|length| words.windows(length)) {
            // As Java trims: control characters too, and no space beyond ASCII.
            take(run.join(" ").trim_matches(|c| c <= ' '));
        }
    }
}

fn read_runs(mut fields: Fields<'_>, delimiters: &str) -> Result<RangeInclusive<usize>, String> {
    let (shortest, longest) = (fields.int("m_NMin")?, fields.int("m_NMax")?);
    fields.ignore(&["m_CurrentPosition", "m_MaxPosition", "m_N", "m_SplitString"]);
    fields.finish()?;
    if delimiters.is_empty() || delimiters.contains(MEANINGFUL) {
        return Err(format!("`{NGRAMS}` has the delimiters `{delimiters}`, a regular expression"));
    }
    if shortest < 1 || longest > MAX_RUN {
        return Err(format!(
            "`{NGRAMS}` makes runs of {shortest} to {longest} words, not 1 to {MAX_RUN}"
        ));
    }
    Ok(shortest as usize..=longest.max(0) as usize)
}
