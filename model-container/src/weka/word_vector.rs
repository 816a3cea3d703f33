//! `StringToWordVector`: a text becomes the weights of the words that the model knows.

use std::collections::HashMap;

use super::Attributes;
use super::graph::{Array, Fields, Graph, Object, Value};
use super::strict_math;
use super::tokenizer::Tokenizer;

const FILTER: &str = "weka.filters.unsupervised.attribute.StringToWordVector";
const BUILDER: &str = "weka.core.DictionaryBuilder";

/// The class stands before the words in the filter's output.
const FIRST_WORD: usize = 1;

/// The trained filter.
pub(super) struct StringToWordVector {
    /// What it was trained on.
    pub(super) input: Attributes,
    words: HashMap<String, Word>,
    tokenizer: Tokenizer,
    lower_case: bool,
    counts: bool,
    transform_tf: bool,
    transform_idf: bool,
    /// The average length that every document is scaled to.
    average_length: Option<f64>,
}

struct Word {
    attribute: usize,
    /// The logarithm of the inverse document frequency.
    idf: f64,
}

impl StringToWordVector {
    /// Reads the filter, and refuses any option that `vectorize` would not honour.
    pub(super) fn read(graph: &Graph, filter: Value) -> Result<Self, String> {
        let filter = graph.object(filter, FILTER)?;
        let input = read_base(graph, &filter)?;
        let mut own = filter.fields(FILTER)?;
        let builder = own.object("m_dictionaryBuilder", BUILDER)?.fields(BUILDER)?;
        own.ignore(&["m_PeriodicPruningRate", "m_filterType"]);
        refuse_dictionary_file(graph, &mut own)?;
        own.finish()?;
        Self::read_builder(graph, builder, input)
    }

    fn read_builder(
        graph: &Graph,
        mut builder: Fields<'_>,
        input: Attributes,
    ) -> Result<Self, String> {
        check_selection(graph, &mut builder, &input)?;
        builder.object("m_stemmer", "weka.core.stemmers.NullStemmer")?;
        let documents = builder.int("m_count")? as f64;
        let average = builder.double("m_avgDocLength")?;
        let filter = Self {
            input,
            words: read_words(graph, builder.value("m_consolidatedDict")?, documents)?,
            tokenizer: Tokenizer::read(graph, builder.value("m_tokenizer")?)?,
            lower_case: builder.flag("m_lowerCaseTokens")?,
            counts: builder.flag("m_outputCounts")?,
            transform_tf: builder.flag("m_TFTransform")?,
            transform_idf: builder.flag("m_IDFTransform")?,
            average_length: builder.flag("m_normalize")?.then_some(average),
        };
        builder.ignore(TRAINING_ONLY);
        builder.finish()?;
        Ok(filter)
    }

    /// How many attributes the filter's output has: the class and the words.
    pub(super) fn attribute_count(&self) -> usize {
        FIRST_WORD + self.words.len()
    }

    /// The weights of the known words in `text`, by ascending attribute.
    pub(super) fn vectorize(&self, text: &str) -> Vec<(usize, f64)> {
        let mut found = self.known_words(text);
        found.sort_unstable_by_key(|word| word.attribute);
        let mut weights: Vec<(usize, f64)> = found
            .chunk_by(|one, other| one.attribute == other.attribute)
            .map(|word| (word[0].attribute, self.weight(word[0], word.len())))
            .filter(|(_, weight)| *weight != 0.0)
            .collect();
        if let Some(average) = self.average_length {
            normalize(&mut weights, average);
        }
        weights
    }

    fn known_words(&self, text: &str) -> Vec<&Word> {
        let mut found = Vec::new();
        self.tokenizer.for_each(text, |token| {
            found.extend(match self.lower_case {
                true => self.words.get(&token.to_lowercase()),
                false => self.words.get(token),
            });
        });
        found
    }

    fn weight(&self, word: &Word, count: usize) -> f64 {
        let mut weight = if self.counts { count as f64 } else { 1.0 };
        if self.transform_tf {
            weight = strict_math::ln(weight + 1.0);
        }
        if self.transform_idf {
            weight *= word.idf;
        }
        weight
    }
}

/// Scales a document to the average length of those trained on.
fn normalize(weights: &mut [(usize, f64)], average: f64) {
    let length = weights.iter().fold(0.0, |sum, (_, weight)| sum + weight * weight).sqrt();
    for (_, weight) in weights {
        *weight = *weight * average / length;
    }
}

/// Fields of the builder that only training reads.
const TRAINING_ONLY: &[&str] = &[
    "m_Prefix",
    "m_classIndex",
    "m_dictsPerClass",
    "m_doNotOperateOnPerClassBasis",
    "m_docLengthSum",
    "m_inputFormat",
    "m_minFrequency",
    "m_numClasses",
    "m_outputFormat",
    "m_periodicPruneRate",
    "m_sortDictionary",
    "m_stopwordsHandler",
    "m_wordsToKeep",
];

fn read_base(graph: &Graph, filter: &Object<'_>) -> Result<Attributes, String> {
    let mut base = filter.fields("weka.filters.Filter")?;
    let input = Attributes::read(graph, base.value("m_InputFormat")?)?;
    if !base.flag("m_FirstBatchDone")? {
        return Err("the filter was never trained".to_owned());
    }
    base.ignore(&[
        "m_Debug",
        "m_DoNotCheckCapabilities",
        "m_InputRelAtts",
        "m_InputStringAtts",
        "m_NewBatch",
        "m_OutputFormat",
        "m_OutputQueue",
        "m_OutputRelAtts",
        "m_OutputStringAtts",
    ]);
    base.finish()?;
    Ok(input)
}

/// The text attribute must be the one that the filter turns into words.
fn check_selection(
    graph: &Graph,
    builder: &mut Fields<'_>,
    input: &Attributes,
) -> Result<(), String> {
    let mut range =
        builder.object("m_selectedRange", "weka.core.Range")?.fields("weka.core.Range")?;
    let flags = range.value("m_SelectFlags")?;
    let inverted = range.flag("m_Invert")?;
    range.ignore(&["m_RangeStrings", "m_Upper"]);
    range.finish()?;
    let Some(Array::Ints(flags)) = graph.array(flags) else {
        return Err("the filter's range was never resolved".to_owned());
    };
    let selected: Vec<usize> =
        (0..flags.len()).filter(|index| (flags[*index] != 0) != inverted).collect();
    if !selected.contains(&input.text) || !builder.flag("m_inputContainsStringAttributes")? {
        return Err("the filter does not select the text attribute".to_owned());
    }
    Ok(())
}

/// A dictionary that was given as a file would replace the one in the stream.
fn refuse_dictionary_file(graph: &Graph, own: &mut Fields<'_>) -> Result<(), String> {
    let file = own.value("m_dictionaryFile")?;
    if matches!(file, Value::Null) {
        return Ok(());
    }
    let path = graph.object(file, "java.io.File")?.fields("java.io.File")?.text("path")?;
    if path.is_empty() {
        return Ok(());
    }
    Err(format!("`{FILTER}.m_dictionaryFile` is set, and this reader does not honour it"))
}

fn read_words(
    graph: &Graph,
    dictionary: Value,
    documents: f64,
) -> Result<HashMap<String, Word>, String> {
    let entries = graph.map(dictionary)?;
    let count = entries.len();
    let mut seen = vec![false; count];
    let mut words = HashMap::with_capacity(count);
    for (word, numbers) in entries {
        let (Some(word), Some(Array::Ints(numbers))) = (graph.string(word), graph.array(numbers))
        else {
            return Err("the dictionary is damaged".to_owned());
        };
        let &[index, frequency] = numbers.as_slice() else {
            return Err(format!("the dictionary's entry `{word}` is damaged"));
        };
        let index = usize::try_from(index).ok().filter(|index| seen.get(*index) == Some(&false));
        let index = index.ok_or_else(|| format!("the word `{word}` has an impossible index"))?;
        seen[index] = true;
        let idf = strict_math::ln(documents / frequency as f64);
        // At once: references to one long word would take long to compare and little to write.
        if words.insert(word.to_owned(), Word { attribute: FIRST_WORD + index, idf }).is_some() {
            return Err(format!("the dictionary has the word `{word}` twice"));
        }
    }
    Ok(words)
}
