//! Rows of the answer about flags.

/// A flag, for which starts may wait.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FlagRow {
    /// Its name.
    pub name: String,
    /// Somebody has set it.
    pub is_set: bool,
    /// Programs that name it in `start_when`; the first few.
    pub programs: Vec<String>,
    /// How many more there are.
    pub more: usize,
}
