//! Reads a serialized WEKA classifier natively, and scores as WEKA does, bit for bit.
//!
//! Known is a `FilteredClassifier` of `StringToWordVector` over `NaiveBayesMultinomial`. What is
//! set to something else than this reader honours is refused by name: a wrong score is never the
//! answer. The bits are those of a JVM whose `Math` is its `StrictMath`, and whose locale lower-cases
//! as English does. Where Java departs from Unicode, or knows an older one, Unicode's lower case is
//! taken: a sigma before or after `_`, `-`, `:`, `·`, `’` or a digit within a word that the model
//! knows, and letters that got their case after Unicode 13.

mod naive_bayes;
mod word_vector;
mod attribute;
mod graph;
mod stream;
mod strict_math;
mod tokenizer;

use std::path::Path;

use crate::Error;
use crate::document::Document;
use crate::model::{Finding, Model};
use crate::package::read_bytes;
use attribute::Attributes;
use graph::{Graph, Value};
use naive_bayes::NaiveBayesMultinomial;
use word_vector::StringToWordVector;

/// How large an artifact may be.
const MAX_BYTES: u64 = 32 << 20;

/// Every class that may occur in the stream; only some of them have a say in scoring.
const CLASSES: &[&str] = &[
    "weka.classifiers.meta.FilteredClassifier",
    "weka.classifiers.RandomizableSingleClassifierEnhancer",
    "weka.classifiers.SingleClassifierEnhancer",
    "weka.classifiers.AbstractClassifier",
    "weka.classifiers.bayes.NaiveBayesMultinomial",
    "weka.core.Attribute",
    "weka.core.AttributeLocator",
    "weka.core.DictionaryBuilder",
    "weka.core.Instances",
    "weka.core.NominalAttributeInfo",
    "weka.core.Queue",
    "weka.core.Range",
    "weka.core.RelationalLocator",
    "weka.core.StringLocator",
    "weka.core.stemmers.NullStemmer",
    "weka.core.stopwords.AbstractStopwords",
    "weka.core.stopwords.Null",
    "weka.core.stopwords.Rainbow",
    "weka.core.tokenizers.CharacterDelimitedTokenizer",
    "weka.core.tokenizers.NGramTokenizer",
    "weka.core.tokenizers.Tokenizer",
    "weka.core.tokenizers.WordTokenizer",
    "weka.filters.Filter",
    "weka.filters.unsupervised.attribute.StringToWordVector",
    "java.io.File",
    "java.lang.Integer",
    "java.lang.Number",
    "java.util.ArrayList",
    "java.util.BitSet",
    "java.util.HashMap",
    "java.util.HashSet",
    "java.util.Hashtable",
    "java.util.LinkedHashMap",
    "[D",
    "[[D",
    "[I",
    "[J",
    "[Ljava.lang.String;",
    "[Z",
];

/// A text classifier: words to counts, counts to class probabilities.
pub struct FilteredClassifier {
    labels: Vec<String>,
    filter: StringToWordVector,
    classifier: NaiveBayesMultinomial,
}

impl FilteredClassifier {
    /// Reads the file `path`, as `weka.core.SerializationHelper` wrote it.
    ///
    /// # Errors
    /// When the file is damaged, or would not be scored as WEKA scores it.
    pub fn load(path: &Path) -> Result<Self, Error> {
        Self::parse(&read_bytes(path, MAX_BYTES)?)
            .map_err(|reason| Error::Artifact { artifact: path.to_owned(), reason })
    }

    /// Reads a model from the bytes of such a file.
    ///
    /// # Errors
    /// A sentence about what is damaged, or would not be scored as WEKA scores it.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let graph = stream::parse(bytes, CLASSES)?;
        let root = *graph.roots.first().ok_or("the stream holds nothing")?;
        Self::read(&graph, root)
    }

    fn read(graph: &Graph, root: Value) -> Result<Self, String> {
        let object = graph.object(root, "weka.classifiers.meta.FilteredClassifier")?;
        let mut own = object.fields("weka.classifiers.meta.FilteredClassifier")?;
        let filter = own.value("m_Filter")?;
        own.ignore(&["m_DoNotCheckForModifiedClassAttribute", "m_FilteredInstances"]);
        own.finish()?;
        let mut enhancer = object.fields("weka.classifiers.SingleClassifierEnhancer")?;
        let classifier = enhancer.value("m_Classifier")?;
        enhancer.finish()?;

        let filter = StringToWordVector::read(graph, filter)?;
        let labels = filter.input.labels.clone();
        let shape = (labels.len(), filter.attribute_count());
        let classifier = NaiveBayesMultinomial::read(graph, classifier, shape)?;
        Ok(Self { labels, filter, classifier })
    }
}

impl Model for FilteredClassifier {
    fn labels(&self) -> &[String] {
        &self.labels
    }

    fn score(&self, document: &Document) -> Result<Finding, String> {
        let words = self.filter.vectorize(&document.text);
        let scores = self.classifier.distribution(&words)?;
        Ok(Finding { scores, spans: Vec::new() })
    }
}

#[cfg(test)]
mod tests;
