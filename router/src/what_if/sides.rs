//! Two of a kind: by the options in force, and by the changed ones.

use serde::Serialize;
use utoipa::ToSchema;

/// Something by the options in force, and by the changed ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
pub(crate) struct Sides<T> {
    /// By the options in force.
    pub(super) before: T,
    /// By the changed ones.
    pub(super) after: T,
}

impl<T> Sides<T> {
    pub(super) fn as_ref(&self) -> Sides<&T> {
        Sides { before: &self.before, after: &self.after }
    }

    pub(super) fn map<U>(self, mut of: impl FnMut(T) -> U) -> Sides<U> {
        Sides { before: of(self.before), after: of(self.after) }
    }

    /// One after the other.
    pub(super) fn into_iter(self) -> impl Iterator<Item = T> {
        [self.before, self.after].into_iter()
    }
}

impl<T: PartialEq> Sides<T> {
    pub(super) fn differ(&self) -> bool {
        self.before != self.after
    }
}
