//! What is recorded of requests, and where records go.

use std::path::PathBuf;

use http::Uri;

/// What a virtual server records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audit {
    /// What records call it.
    pub component: String,
    /// Types of events that are recorded, by the names that ToolHive gives them; all if there is none.
    pub event_types: Vec<String>,
    /// Those that are not, whatever the others say.
    pub exclude_event_types: Vec<String>,
    /// Whether `params` of a request are recorded.
    pub include_request_data: bool,
    /// Whether `result` or `error` of an answer is.
    pub include_response_data: bool,
    /// Whether an answer with an error in it is told from one without.
    pub detect_application_errors: bool,
    /// Bytes of data that are recorded of each request and of each answer.
    pub max_data_size: usize,
    /// Actors that are recorded of a token.
    pub max_delegation_depth: usize,
    /// Members of data whose values are not recorded, besides those that are never.
    pub redact: Vec<String>,
    /// Where records go.
    pub to: Destination,
    /// What becomes of requests whose records find no place.
    pub overflow: Overflow,
}

/// Where records go.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Destination {
    /// The replica's standard output.
    Stdout,
    /// A file of the replica.
    File {
        /// Which.
        path: PathBuf,
        /// How large it may grow, in bytes, before it is put aside.
        max_bytes: u64,
        /// How many that were put aside are kept.
        keep: u32,
    },
    /// A collector of OpenTelemetry, over HTTP.
    Otlp(Uri),
}

/// What becomes of requests whose records find no place, since they are written more slowly than they are made, or not at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Overflow {
    /// They wait.
    Block,
    /// They go on, unrecorded; how many is counted.
    DropAndCount,
    /// They are refused.
    Refuse,
}

impl Default for Audit {
    fn default() -> Self {
        Self {
            component: "vmcp-server".to_owned(),
            event_types: Vec::new(),
            exclude_event_types: Vec::new(),
            include_request_data: false,
            include_response_data: false,
            detect_application_errors: true,
            max_data_size: 1024,
            max_delegation_depth: 10,
            redact: Vec::new(),
            to: Destination::Stdout,
            overflow: Overflow::DropAndCount,
        }
    }
}

impl Audit {
    /// Whether events of a type are recorded.
    pub fn records(&self, event_type: &str) -> bool {
        let names = |all: &[String]| all.iter().any(|name| name == event_type);
        (self.event_types.is_empty() || names(&self.event_types)) && !names(&self.exclude_event_types)
    }
}
