//! Time in any time zone.

use jiff::civil::DateTime;
use jiff::tz::{self, TimeZone};
use jiff::{Timestamp, Zoned};
use rmcp::handler::server::router::tool::ToolRouter;
use rmcp::handler::server::wrapper::Parameters;
use rmcp::model::{Implementation, ServerCapabilities, ServerConfig};
use rmcp::{Json, ServerHandler, tool, tool_handler, tool_router};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Knows what time it is.
#[derive(Debug, Clone)]
pub(crate) struct Clock {
    tool_router: ToolRouter<Self>,
}

#[derive(Debug, Deserialize, JsonSchema)]
struct Now {
    /// IANA name such as `Europe/Berlin`; `UTC` if absent
    time_zone: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
struct Convert {
    /// Local time such as `2026-11-22T18:30`
    time: String,
    /// IANA name of the time zone that it is in
    from: String,
    /// IANA name of the time zone to convert it to
    to: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
struct Zones {
    /// Part of the name, such as `berlin`; all if absent
    contains: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Moment {
    /// RFC 3339 with the offset from UTC
    time: String,
    /// IANA name of the time zone
    time_zone: String,
    /// Day of the week
    weekday: String,
}

#[derive(Debug, Serialize, JsonSchema)]
struct ZoneNames {
    /// IANA names
    time_zones: Vec<String>,
}

#[tool_router(router = tool_router)]
impl Clock {
    pub(crate) fn new() -> Self {
        Self { tool_router: Self::tool_router() }
    }

    #[tool(
        description = "The time now in a time zone",
        annotations(read_only_hint = true, open_world_hint = false)
    )]
    async fn now(&self, Parameters(now): Parameters<Now>) -> Result<Json<Moment>, String> {
        let zone = time_zone(now.time_zone.as_deref().unwrap_or("UTC"))?;
        Ok(Json(moment(&Timestamp::now().to_zoned(zone))))
    }

    #[tool(
        description = "A local time of one time zone in another",
        annotations(read_only_hint = true, open_world_hint = false)
    )]
    async fn convert(&self, Parameters(convert): Parameters<Convert>) -> Result<Json<Moment>, String> {
        let local: DateTime = convert.time.parse().map_err(|error| format!("`{}`: {error}", convert.time))?;
        let there = local.to_zoned(time_zone(&convert.from)?).map_err(|error| error.to_string())?;
        Ok(Json(moment(&there.with_time_zone(time_zone(&convert.to)?))))
    }

    #[tool(description = "Names of time zones", annotations(read_only_hint = true, open_world_hint = false))]
    async fn zones(&self, Parameters(zones): Parameters<Zones>) -> Json<ZoneNames> {
        let wanted = zones.contains.unwrap_or_default().to_ascii_lowercase();
        let names = tz::db().available().map(|name| name.to_string());
        Json(ZoneNames {
            time_zones: names.filter(|name| name.to_ascii_lowercase().contains(&wanted)).collect(),
        })
    }
}

#[tool_handler(router = self.tool_router)]
impl ServerHandler for Clock {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(Implementation::new("vmcp-demo-clock", env!("CARGO_PKG_VERSION")))
            .with_instructions("Ask `zones` if you do not know how a time zone is called.")
    }
}

fn time_zone(name: &str) -> Result<TimeZone, String> {
    TimeZone::get(name).map_err(|_| format!("there is no time zone `{name}`"))
}

fn moment(time: &Zoned) -> Moment {
    let zone = time.time_zone().iana_name().unwrap_or("UTC").to_owned();
    let weekday = time.strftime("%A").to_string();
    Moment { time: time.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string(), time_zone: zone, weekday }
}
