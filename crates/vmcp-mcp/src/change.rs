//! What a notification says of a backend's lists.

use crate::method;

/// Which lists have changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Tools.
    Tools,
    /// Resources or their templates.
    Resources,
    /// Prompts.
    Prompts,
}

impl Change {
    /// What a notification says.
    pub(crate) fn read(method: &str) -> Option<Self> {
        match method {
            method::TOOLS_CHANGED => Some(Self::Tools),
            method::RESOURCES_CHANGED => Some(Self::Resources),
            method::PROMPTS_CHANGED => Some(Self::Prompts),
            _ => None,
        }
    }
}
