//! One JSON-RPC message as it came over the wire: a view of ranges over its bytes.

use std::borrow::Cow;

use vmcp_json::{Fault, Kind, Limits, Object, Value};

/// What a body holds.
#[derive(Debug, Clone)]
pub enum Message<'a> {
    /// Wants an answer.
    Request(Request<'a>),
    /// Wants none.
    Notification(Notification<'a>),
    /// Is one.
    Response(Response<'a>),
}

/// `{"jsonrpc":"2.0","id":…,"method":…,"params":…}`
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// Chosen by the sender; the answer carries it back.
    pub id: Id<'a>,
    /// What is asked for.
    pub method: Cow<'a, str>,
    /// Its parameters; absent is not empty.
    pub params: Option<Object<'a>>,
    /// The whole message.
    pub object: Object<'a>,
}

/// `{"jsonrpc":"2.0","method":…,"params":…}`
#[derive(Debug, Clone)]
pub struct Notification<'a> {
    /// What is told.
    pub method: Cow<'a, str>,
    /// Its parameters.
    pub params: Option<Object<'a>>,
}

/// `{"jsonrpc":"2.0","id":…,"result":…}` or the same with `error`.
#[derive(Debug, Clone)]
pub struct Response<'a> {
    /// The request's; absent where a request could not be read.
    pub id: Option<Id<'a>>,
    /// How it went.
    pub outcome: Outcome<'a>,
    /// The whole message.
    pub object: Object<'a>,
}

/// How a request went.
#[derive(Debug, Clone)]
pub enum Outcome<'a> {
    /// The `result` member, an object in MCP.
    Result(Object<'a>),
    /// The `error` member, which has an integer `code`.
    Error {
        /// Its code.
        code: i64,
        /// The member whole.
        error: Object<'a>,
    },
}

/// A request's id: a string or an integer (MCP 2026-07-28, Base Protocol, Requests).
#[derive(Debug, Clone, Copy)]
pub struct Id<'a>(Value<'a>);

/// Why a body is not a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Not JSON, or over a bound.
    #[error(transparent)]
    Json(#[from] Fault),
    /// An array: batches exist in 2025-03-26 only.
    #[error("a batch, which only protocol version 2025-03-26 has")]
    Batch,
    /// Two members of the same name where one of them decides.
    #[error("member `{name}` is written twice in {within}")]
    Duplicate {
        /// The member.
        name: String,
        /// The object that has it twice.
        within: &'static str,
    },
    /// An envelope that JSON-RPC 2.0 does not know.
    #[error("{0}")]
    Envelope(&'static str),
}

/// A body that is not a message, with the id if that much could be read.
#[derive(Debug, Clone)]
pub struct Rejected<'a> {
    /// What is wrong with it.
    pub why: Malformed,
    /// Its id, to be echoed.
    pub id: Option<Id<'a>>,
}

impl<'a> Message<'a> {
    /// Reads one message. Nothing is copied; duplicate members in the envelope, in `params` and in its `_meta` are refused, because
    /// readers disagree about which of two counts.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn parse(body: &'a [u8], limits: &Limits) -> Result<Self, Rejected<'a>> {
        let value = Value::parse(body, limits).map_err(|fault| Rejected { why: fault.into(), id: None })?;
        let Some(object) = value.as_object() else {
            let why = match value.kind() {
                Kind::Array => Malformed::Batch,
                _ => Malformed::Envelope("a message is an object"),
            };
            return Err(Rejected { why, id: None });
        };
        let id = object.get("id").and_then(Id::read);
        Self::from_object(object).map_err(|why| Rejected { why, id })
    }

    fn from_object(object: Object<'a>) -> Result<Self, Malformed> {
        refuse_duplicates(&object, "the envelope")?;
        if object.get("jsonrpc").and_then(|value| value.as_str()).as_deref() != Some("2.0") {
            return Err(Malformed::Envelope("`jsonrpc` must be \"2.0\""));
        }
        let id = object.get("id").map(|value| (value, Id::read(value)));
        let Some(method) = object.get("method") else {
            return Response::from_object(object, id).map(Message::Response);
        };
        let Some(method) = method.as_str() else {
            return Err(Malformed::Envelope("`method` must be a string"));
        };
        let params = match object.get("params") {
            None => None,
            Some(value) => match value.as_object() {
                Some(params) => Some(params),
                None => return Err(Malformed::Envelope("`params` must be an object")),
            },
        };
        if let Some(params) = &params {
            refuse_duplicates(params, "`params`")?;
            match params.get("_meta").map(|meta| (meta.kind(), meta.as_object())) {
                None | Some((Kind::Null, _)) => {}
                Some((_, Some(meta))) => refuse_duplicates(&meta, "`_meta`")?,
                Some((_, None)) => return Err(Malformed::Envelope("`params._meta` must be an object")),
            }
        }
        match id {
            None => Ok(Message::Notification(Notification { method, params })),
            Some((_, Some(id))) => Ok(Message::Request(Request { id, method, params, object })),
            Some((_, None)) => Err(Malformed::Envelope("`id` must be a string or an integer")),
        }
    }
}

impl<'a> Response<'a> {
    fn from_object(object: Object<'a>, id: Option<(Value<'a>, Option<Id<'a>>)>) -> Result<Self, Malformed> {
        let id = match id {
            None => None,
            Some((value, None)) if value.kind() == Kind::Null => None,
            Some((_, None)) => return Err(Malformed::Envelope("`id` must be a string or an integer")),
            Some((_, id)) => id,
        };
        let outcome = match (object.get("result"), object.get("error")) {
            (Some(result), None) => match result.as_object() {
                Some(result) => Outcome::Result(result),
                None => return Err(Malformed::Envelope("`result` must be an object")),
            },
            (None, Some(error)) => {
                let Some(error) = error.as_object() else {
                    return Err(Malformed::Envelope("`error` must be an object"));
                };
                let Some(code) = error.get("code").and_then(|code| code.as_i64()) else {
                    return Err(Malformed::Envelope("`error.code` must be an integer"));
                };
                Outcome::Error { code, error }
            }
            (Some(_), Some(_)) => return Err(Malformed::Envelope("both `result` and `error`")),
            (None, None) => return Err(Malformed::Envelope("neither `method` nor `result` nor `error`")),
        };
        Ok(Self { id, outcome, object })
    }
}

impl<'a> Id<'a> {
    fn read(value: Value<'a>) -> Option<Self> {
        match value.kind() {
            Kind::String => Some(Self(value)),
            Kind::Number if !value.raw().contains(['.', 'e', 'E']) => Some(Self(value)),
            _ => None,
        }
    }

    /// The id as it was written, which is how it must come back.
    pub fn raw(&self) -> &'a str {
        self.0.raw()
    }

    /// The id as a value, to be replaced.
    pub fn value(&self) -> Value<'a> {
        self.0
    }

    /// Whether both name the same request, however they are escaped.
    pub fn is(&self, other: &str) -> bool {
        if self.raw() == other {
            return true;
        }
        let limits = Limits::new(other.len(), 1);
        match (self.0.as_str(), Value::parse(other.as_bytes(), &limits)) {
            (Some(ours), Ok(theirs)) => theirs.as_str() == Some(ours),
            _ => false,
        }
    }
}

fn refuse_duplicates(object: &Object<'_>, within: &'static str) -> Result<(), Malformed> {
    match object.duplicate() {
        None => Ok(()),
        Some(name) => Err(Malformed::Duplicate { name: name.into_owned(), within }),
    }
}

#[cfg(test)]
mod tests;
