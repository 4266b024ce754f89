//! The control service as any gRPC client meets it: it says how it is, and what it understands.

use tonic::transport::Endpoint;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus};
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_reflection::pb::v1::{ServerReflectionRequest, ServiceResponse};
use vmcp_testkit::ControlPlane;

use super::PROGRAMS;

#[tokio::test]
async fn the_control_service_has_health_and_reflection() {
    let control_plane = ControlPlane::start(PROGRAMS).await;
    let channel = Endpoint::from_shared(control_plane.api_url()).unwrap().connect().await.unwrap();
    let asked = HealthCheckRequest { service: "vmcp.v1.Control".to_owned() };
    let health = HealthClient::new(channel.clone()).check(asked).await.unwrap().into_inner();
    assert_eq!(health.status, i32::from(ServingStatus::Serving));
    let asked = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let asked = tokio_stream::once(asked);
    let mut answers =
        ServerReflectionClient::new(channel).server_reflection_info(asked).await.unwrap().into_inner();
    let answer = answers.message().await.unwrap().and_then(|answer| answer.message_response);
    let Some(MessageResponse::ListServicesResponse(list)) = answer else { panic!("{answer:?}") };
    let names: Vec<&str> = list.service.iter().map(|ServiceResponse { name }| name.as_str()).collect();
    assert!(names.contains(&"vmcp.v1.Control") && names.contains(&"grpc.health.v1.Health"), "{names:?}");
}
