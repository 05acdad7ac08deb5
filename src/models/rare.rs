//! Settings that hardly any program has.

use std::fmt;
use std::ops::{Deref, DerefMut};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A group of settings with their defaults, which takes no memory until one of them is set.
pub trait Defaults: Clone + 'static {
    /// The group with every default.
    fn defaults() -> &'static Self;
}

/// A group of settings that hardly any program has: ten thousand programs without them cost a pointer each. It is read
/// and written as the group itself.
///
/// ```
/// use supervice::models::ProgramConfig;
///
/// let mut web = ProgramConfig::new("web", "/usr/bin/web");
/// assert_eq!(web.confinement.nice, None);
/// web.confinement.nice = Some(5);
/// assert_eq!(web.confinement.nice, Some(5));
/// ```
#[derive(Clone)]
pub struct Rare<T>(Option<Box<T>>);

impl<T> Rare<T> {
    /// Nothing was set.
    pub fn is_unset(&self) -> bool {
        self.0.is_none()
    }
}

impl<T> Default for Rare<T> {
    fn default() -> Self {
        Rare(None)
    }
}

impl<T> From<T> for Rare<T> {
    fn from(set: T) -> Self {
        Rare(Some(Box::new(set)))
    }
}

impl<T: Defaults> Deref for Rare<T> {
    type Target = T;

    fn deref(&self) -> &T {
        match &self.0 {
            Some(set) => set,
            None => T::defaults(),
        }
    }
}

impl<T: Defaults> DerefMut for Rare<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.0.get_or_insert_with(|| Box::new(T::defaults().clone()))
    }
}

impl<T: Defaults + PartialEq> PartialEq for Rare<T> {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (None, None) => true,
            (Some(_), _) | (_, Some(_)) => **self == **other,
        }
    }
}

impl<T: Defaults + Eq> Eq for Rare<T> {}

impl<T: Defaults + fmt::Debug> fmt::Debug for Rare<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: Defaults + Serialize> Serialize for Rare<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (**self).serialize(serializer)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Rare<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Rare(Some(Box::new(T::deserialize(deserializer)?))))
    }
}
