use crate::gate::needed;

#[test]
fn every_method_has_a_role() {
    use prost::Message;
    let described = prost_types::FileDescriptorSet::decode(vmcp_proto::DESCRIPTORS).unwrap();
    let methods: Vec<String> = described
        .file
        .iter()
        .flat_map(|file| file.service.iter().map(move |service| (file.package(), service)))
        .flat_map(|(package, service)| {
            let of = format!("/{package}.{}", service.name());
            service.method.iter().map(move |method| format!("{of}/{}", method.name()))
        })
        .collect();
    assert!(methods.iter().any(|method| method == "/vmcp.v1.Control/Apply"), "{methods:?}");
    for method in methods.iter().filter(|method| !method.starts_with("/vmcp.v1.Publish/")) {
        assert!(needed(method).is_some(), "{method}");
    }
    assert_eq!(needed("/vmcp.v1.Publish/Follow"), None);
    assert_eq!(needed("/vmcp.v1.Control/Apply/"), None);
}
