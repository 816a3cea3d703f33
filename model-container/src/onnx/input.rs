//! How documents fill a model's inputs: whole texts, single fields, numbers, or tokens.

use ort::session::SessionInputValue;
use ort::value::{Outlet, Tensor, TensorElementType as Kind};
use tokenizers::Encoding;

use super::column::{Column, Source, check_shape, is_text, no_field, shape, unknown};
use super::tokens::{Lengths, Tokens};
use crate::document::Document;
use crate::package::Input;

/// The inputs of a model whose texts are tokenized outside of it.
pub(super) const TOKENS: [&str; 3] = ["input_ids", "attention_mask", "token_type_ids"];

/// What fills a model's inputs.
pub(super) enum Inputs {
    /// Each input is a column of texts or numbers.
    Columns(Vec<Column>),
    /// Each input is an aspect of the text's tokens.
    Tokens(Box<Tokens>, Vec<Aspect>),
}

/// One of a transformer's inputs, `[documents, tokens]`.
pub(super) struct Aspect {
    kind: Kind,
    of: fn(&Encoding) -> &[u32],
}

/// A document made ready for the model.
pub(super) enum Row<'a> {
    /// Its fields as they are.
    Fields(&'a Document),
    /// The tokens of its text.
    Tokens(Box<Encoding>),
}

impl Inputs {
    /// Whether the model's texts are tokenized outside of it.
    pub(super) fn are_tokens(outlets: &[Outlet]) -> bool {
        outlets.iter().any(|outlet| outlet.name() == TOKENS[0])
    }

    /// How long the model's rows of tokens may be.
    pub(super) fn lengths(outlets: &[Outlet]) -> Lengths {
        let find = |name| outlets.iter().find(|outlet| outlet.name() == name);
        let length = find(TOKENS[0]).and_then(|ids| shape(ids).get(1));
        match length.and_then(|&length| usize::try_from(length).ok()) {
            Some(length) => Lengths::Fixed(length),
            None if find(TOKENS[1]).is_some() => Lengths::Bucketed,
            None => Lengths::Own,
        }
    }

    /// Whether several documents may be computed at once.
    pub(super) fn are_batched(outlets: &[Outlet]) -> bool {
        outlets.iter().all(|outlet| shape(outlet).first() == Some(&-1))
    }

    /// Finds the aspect of the tokens that each input wants.
    pub(super) fn of_tokens(outlets: &[Outlet], tokens: Tokens) -> Result<Self, String> {
        let aspects = outlets.iter().map(|outlet| {
            let kind = outlet.dtype().tensor_type();
            let kind = kind.filter(|kind| matches!(kind, Kind::Int64 | Kind::Int32));
            let of: fn(&Encoding) -> &[u32] = match outlet.name() {
                "input_ids" => Encoding::get_ids,
                "attention_mask" => Encoding::get_attention_mask,
                "token_type_ids" => Encoding::get_type_ids,
                _ => return Err(unknown(outlet)),
            };
            check_shape(outlet, None)?;
            Ok(Aspect { kind: kind.ok_or_else(|| unknown(outlet))?, of })
        });
        Ok(Self::Tokens(Box::new(tokens), aspects.collect::<Result<_, _>>()?))
    }

    /// Finds the field or fields that fill each input: an input alone of its kind takes all of
    /// that kind, several are named like the fields.
    pub(super) fn of_fields(outlets: &[Outlet], declared: &Input) -> Result<Self, String> {
        let texts = outlets.iter().filter(|outlet| is_text(outlet)).count();
        let numbers = outlets.len() - texts;
        let columns = outlets.iter().map(|outlet| {
            let name = outlet.name();
            let place = |names: &[String]| names.iter().position(|field| field == name);
            let source = match is_text(outlet) {
                true if texts == 1 && !declared.text.is_empty() => Some(Source::Text),
                true => place(&declared.text).map(Source::Part),
                false if numbers == 1 && !declared.numbers.is_empty() => Some(Source::Numbers),
                false => place(&declared.numbers).map(Source::Number),
            };
            Column::new(outlet, source.ok_or_else(|| no_field(outlet))?, &declared.numbers)
        });
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        refuse_unused(&declared.text, texts, &columns)?;
        refuse_unused(&declared.numbers, numbers, &columns)?;
        Ok(Self::Columns(columns))
    }

    /// Makes a document ready.
    pub(super) fn row<'a>(&self, document: &'a Document) -> Result<Row<'a>, String> {
        match self {
            Self::Columns(_) => Ok(Row::Fields(document)),
            Self::Tokens(tokens, _) => Ok(Row::Tokens(Box::new(tokens.encode(&document.text)?))),
        }
    }

    /// What a model must be able to compute to fit these inputs, the longest row last.
    pub(super) fn extremes(&self) -> Vec<(String, Row<'static>)> {
        match self {
            Self::Columns(_) => Vec::new(),
            Self::Tokens(tokens, _) => {
                let extremes = tokens.extremes().into_iter();
                extremes.map(|(what, row)| (what, Row::Tokens(Box::new(row)))).collect()
            }
        }
    }

    /// The tensors for rows of one length, in the order of the model's inputs.
    pub(super) fn tensors(
        &self,
        rows: &[&Row<'_>],
    ) -> Result<Vec<SessionInputValue<'static>>, String> {
        match self {
            Self::Columns(columns) => {
                let documents: Vec<_> = rows.iter().filter_map(|row| row.document()).collect();
                columns.iter().map(|column| column.tensor(&documents)).collect()
            }
            Self::Tokens(_, aspects) => {
                let rows: Vec<_> = rows.iter().filter_map(|row| row.tokens()).collect();
                aspects.iter().map(|aspect| aspect.tensor(&rows)).collect()
            }
        }
    }
}

impl<'a> Row<'a> {
    /// Only rows of one length can be computed at once.
    pub(super) fn length(&self) -> usize {
        self.tokens().map_or(0, Encoding::len)
    }

    fn document(&self) -> Option<&'a Document> {
        if let Self::Fields(document) = self { Some(document) } else { None }
    }

    fn tokens(&self) -> Option<&Encoding> {
        if let Self::Tokens(encoding) = self { Some(encoding) } else { None }
    }
}

impl Aspect {
    fn tensor(&self, rows: &[&Encoding]) -> Result<SessionInputValue<'static>, String> {
        let values = rows.iter().flat_map(|row| (self.of)(row));
        let shape = [rows.len(), rows.first().map_or(0, |row| row.len())];
        let tensor = match self.kind {
            Kind::Int32 => {
                let values: Vec<_> = values.map(|&value| value.cast_signed()).collect();
                Tensor::from_array((shape, values)).map(SessionInputValue::from)
            }
            _ => {
                let values: Vec<_> = values.map(|&value| i64::from(value)).collect();
                Tensor::from_array((shape, values)).map(SessionInputValue::from)
            }
        };
        tensor.map_err(|error| error.to_string())
    }
}

fn refuse_unused(declared: &[String], inputs: usize, columns: &[Column]) -> Result<(), String> {
    let is_named = |field: &&String| columns.iter().any(|column| column.name == **field);
    match declared.iter().find(|field| inputs != 1 && !is_named(field)) {
        Some(field) => Err(format!("no input of it takes the field `{field}` of [input]")),
        None => Ok(()),
    }
}
