//! What is recorded of requests, as bytes and back.

use vmcp_core::audit::{Audit, Destination, Overflow};
use vmcp_proto::v1;
use vmcp_proto::v1::audit::To;

use super::{Rejection, field};

pub(super) fn encode(audit: &Audit) -> v1::Audit {
    let to = match &audit.to {
        Destination::Stdout => None,
        Destination::File { path, max_bytes, keep } => Some(To::File(v1::AuditFile {
            path: path.to_string_lossy().into_owned(),
            max_bytes: *max_bytes,
            keep: *keep,
        })),
        Destination::Otlp(url) => Some(To::Otlp(url.to_string())),
    };
    let overflow = match audit.overflow {
        Overflow::Block => v1::Overflow::Block,
        Overflow::DropAndCount => v1::Overflow::DropAndCount,
        Overflow::Refuse => v1::Overflow::Refuse,
    };
    v1::Audit {
        component: audit.component.clone(),
        event_types: audit.event_types.clone(),
        exclude_event_types: audit.exclude_event_types.clone(),
        include_request_data: audit.include_request_data,
        include_response_data: audit.include_response_data,
        detect_application_errors: audit.detect_application_errors,
        max_data_size: audit.max_data_size as u64,
        max_delegation_depth: u32::try_from(audit.max_delegation_depth).unwrap_or(u32::MAX),
        redact: audit.redact.clone(),
        overflow: overflow.into(),
        to,
    }
}

pub(super) fn decode(message: v1::Audit) -> Result<Audit, Rejection> {
    let overflow = match v1::Overflow::try_from(message.overflow) {
        Ok(v1::Overflow::Block) => Overflow::Block,
        Ok(v1::Overflow::DropAndCount) => Overflow::DropAndCount,
        Ok(v1::Overflow::Refuse) => Overflow::Refuse,
        Ok(v1::Overflow::Unspecified) | Err(_) => {
            return Err(field("overflow", &format!("unknown value {}", message.overflow)));
        }
    };
    Ok(Audit {
        component: message.component,
        event_types: message.event_types,
        exclude_event_types: message.exclude_event_types,
        include_request_data: message.include_request_data,
        include_response_data: message.include_response_data,
        detect_application_errors: message.detect_application_errors,
        max_data_size: usize::try_from(message.max_data_size).unwrap_or(usize::MAX),
        max_delegation_depth: message.max_delegation_depth as usize,
        redact: message.redact,
        overflow,
        to: match message.to {
            None => Destination::Stdout,
            Some(To::File(file)) => {
                Destination::File { path: file.path.into(), max_bytes: file.max_bytes, keep: file.keep }
            }
            Some(To::Otlp(url)) => Destination::Otlp(url.parse().map_err(|error| field("otlp", &error))?),
        },
    })
}
