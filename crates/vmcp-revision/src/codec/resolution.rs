//! How names are made of what single callers are offered, as bytes and back. Lines of manifests stay with the control plane.

use vmcp_core::aggregation::{Aggregation, Annotations, ConflictResolution, Filter, Override, ToolRules};
use vmcp_core::written::Line;
use vmcp_proto::v1;

use super::{Rejection, field, parse_name};

pub(super) fn encode(aggregation: &Aggregation) -> v1::Resolution {
    let tools = aggregation.tools.iter().map(|(workload, rules)| v1::ToolRules {
        workload: workload.to_string(),
        filter: rules.filter.iter().map(|filter| filter.name.clone()).collect(),
        overrides: rules.overrides.iter().map(|(name, changes)| encode_override(name, changes)).collect(),
        exclude_all: rules.exclude_all.is_some(),
    });
    v1::Resolution {
        manual: aggregation.conflict_resolution == ConflictResolution::Manual,
        prefix_format: aggregation.prefix_format.to_string(),
        max_name_length: aggregation
            .max_name_length
            .map(|length| u32::try_from(length.characters()).unwrap_or(u32::MAX)),
        exclude_all_tools: aggregation.exclude_all_tools.is_some(),
        deny_by_default: aggregation.deny_by_default.is_some(),
        tools: tools.collect(),
    }
}

fn encode_override(original_name: &str, changes: &Override) -> v1::ToolOverride {
    let annotations = &changes.annotations;
    v1::ToolOverride {
        original_name: original_name.to_owned(),
        name: changes.name.as_ref().map(ToString::to_string),
        description: changes.description.clone(),
        title: annotations.title.clone(),
        read_only_hint: annotations.read_only_hint,
        destructive_hint: annotations.destructive_hint,
        idempotent_hint: annotations.idempotent_hint,
        open_world_hint: annotations.open_world_hint,
    }
}

pub(super) fn decode(message: v1::Resolution) -> Result<Aggregation, Rejection> {
    let nowhere = || Line { file: "".into(), number: 0 };
    let tools = message.tools.into_iter().map(|rules| {
        let overrides = rules.overrides.into_iter().map(|changes| {
            let name = changes.name.map(|name| name.parse().map_err(|error| field("overrides", &error)));
            let annotations = Annotations {
                title: changes.title,
                read_only_hint: changes.read_only_hint,
                destructive_hint: changes.destructive_hint,
                idempotent_hint: changes.idempotent_hint,
                open_world_hint: changes.open_world_hint,
            };
            let (name, description) = (name.transpose()?, changes.description);
            Ok((changes.original_name, Override { line: nowhere(), name, description, annotations }))
        });
        let filter = rules.filter.into_iter().map(|name| Filter { name, line: nowhere() });
        let read = ToolRules {
            line: nowhere(),
            filter: filter.collect(),
            overrides: overrides.collect::<Result<_, Rejection>>()?,
            exclude_all: rules.exclude_all.then(nowhere),
        };
        Ok((parse_name("workload", &rules.workload)?, read))
    });
    let conflict_resolution =
        if message.manual { ConflictResolution::Manual } else { ConflictResolution::Prefix };
    let length = message
        .max_name_length
        .map(|length| length.to_string().parse().map_err(|error| field("max_name_length", &error)));
    Ok(Aggregation {
        conflict_resolution,
        prefix_format: message.prefix_format.parse().map_err(|error| field("prefix_format", &error))?,
        max_name_length: length.transpose()?,
        exclude_all_tools: message.exclude_all_tools.then(nowhere),
        deny_by_default: message.deny_by_default.then(nowhere),
        tools: tools.collect::<Result<_, Rejection>>()?,
    })
}
