//! How a virtual server deals with its backends, as bytes and back.

use std::time::Duration;

use vmcp_core::operational::{Breaker, Operational, PartialFailure, Timeouts};
use vmcp_proto::v1;

use super::{Rejection, field, parse_name};

pub(super) fn encode(operational: &Operational) -> v1::Operational {
    let per_workload = operational.per_workload.iter().map(|(workload, timeouts)| v1::WorkloadTimeouts {
        workload: workload.to_string(),
        timeouts: Some(encode_timeouts(timeouts)),
    });
    v1::Operational {
        timeouts: Some(encode_timeouts(&operational.timeouts)),
        per_workload: per_workload.collect(),
        breaker: Some(v1::Breaker {
            enabled: operational.breaker.is_enabled,
            failure_threshold: operational.breaker.failure_threshold,
            timeout_ms: millis(operational.breaker.timeout),
        }),
        refuses_partial_lists: operational.partial_failure == PartialFailure::Fail,
        status_reporting_ms: operational.status_reporting_interval.map(millis),
    }
}

pub(super) fn decode(message: Option<v1::Operational>) -> Result<Operational, Rejection> {
    let message = message.ok_or_else(|| field("operational", &"it is missing"))?;
    let per_workload = message.per_workload.into_iter().map(|of| {
        Ok((parse_name("per_workload", &of.workload)?, decode_timeouts("per_workload", of.timeouts)?))
    });
    let breaker = message.breaker.ok_or_else(|| field("breaker", &"it is missing"))?;
    Ok(Operational {
        timeouts: decode_timeouts("timeouts", message.timeouts)?,
        per_workload: per_workload.collect::<Result<_, Rejection>>()?,
        breaker: Breaker {
            is_enabled: breaker.enabled,
            failure_threshold: breaker.failure_threshold,
            timeout: Duration::from_millis(breaker.timeout_ms),
        },
        partial_failure: if message.refuses_partial_lists {
            PartialFailure::Fail
        } else {
            PartialFailure::BestEffort
        },
        status_reporting_interval: message.status_reporting_ms.map(Duration::from_millis),
        // The control plane alone asks.
        ..Operational::default()
    })
}

fn encode_timeouts(timeouts: &Timeouts) -> v1::Timeouts {
    v1::Timeouts {
        connect_ms: millis(timeouts.connect),
        first_byte_ms: millis(timeouts.first_byte),
        idle_ms: millis(timeouts.idle),
        total_ms: millis(timeouts.total),
    }
}

fn decode_timeouts(name: &'static str, message: Option<v1::Timeouts>) -> Result<Timeouts, Rejection> {
    let message = message.ok_or_else(|| field(name, &"it is missing"))?;
    Ok(Timeouts {
        connect: Duration::from_millis(message.connect_ms),
        first_byte: Duration::from_millis(message.first_byte_ms),
        idle: Duration::from_millis(message.idle_ms),
        total: Duration::from_millis(message.total_ms),
    })
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
