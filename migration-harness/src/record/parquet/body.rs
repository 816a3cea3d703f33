//! A body as it is written in a row.

use std::borrow::Cow;

use crate::record::line;

/// The written body, which may stand for other bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Body<'a> {
    /// What the column holds.
    pub(crate) written: &'a [u8],
    /// How it is to be read; verbatim, where the row doesn't say.
    pub(crate) encoding: Option<&'a str>,
}

impl<'a> Body<'a> {
    /// Whether what is written are the bytes that were sent.
    pub(super) fn is_verbatim(self) -> bool {
        matches!(self.encoding, None | Some("utf8"))
    }

    /// The bytes that were sent.
    ///
    /// # Errors
    /// A sentence for the user.
    pub(crate) fn bytes(self) -> Result<Cow<'a, [u8]>, String> {
        match self.encoding {
            None | Some("utf8") => Ok(self.written.into()),
            Some("base64") => line::decode_base64(self.written).map(Cow::from),
            Some(other) => {
                Err(format!("`encoding` `{other}` is not known; use `utf8` or `base64`"))
            }
        }
    }
}
