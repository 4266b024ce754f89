//! A legacy server over standard input and output, written in shell: called in both eras, and listened to.

use std::time::Duration;

use vmcp_testkit::eventually;

use crate::serve;
use crate::two_planes::call;

/// It has two tools once the file is there, and says so.
const SERVER: &str = r#"#!/bin/sh
answer() { printf '{"jsonrpc":"2.0","id":%s,"result":%s}\n' "$1" "$2"; }
watch() {
  while ! test -e "$1"; do sleep 0.05; done
  echo '{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}'
}
watch "$1" &
while read -r line; do
  id=$(printf '%s' "$line" | sed -n 's/.*"id":\([0-9][0-9]*\).*/\1/p')
  case $line in
  *'"server/discover"'*) printf '{"jsonrpc":"2.0","id":%s,"error":{"code":-32601,"message":"no"}}\n' "$id" ;;
  *'"initialize"'*) answer "$id" '{"protocolVersion":"2025-06-18","capabilities":{"tools":{"listChanged":true}},"serverInfo":{"name":"shell","version":"1"}}' ;;
  *'"tools/list"'*)
    if test -e "$1"; then more=',{"name":"later","inputSchema":{"type":"object"}}'; else more=; fi
    answer "$id" '{"tools":[{"name":"first","inputSchema":{"type":"object"}}'"$more"']}' ;;
  *'"tools/call"'*) answer "$id" '{"content":[{"type":"text","text":"from the shell"}]}' ;;
  *'"ping"'*) answer "$id" '{}' ;;
  esac
done
"#;

#[tokio::test]
async fn a_legacy_child_is_called_in_both_eras_and_its_changes_are_heard() {
    let folder = tempfile::tempdir().unwrap();
    let (script, mark) = (folder.path().join("server"), folder.path().join("more"));
    fs_err::write(&script, SERVER).unwrap();
    let served =
        serve(&[format!("{{name: sh, command: sh, args: ['{}', '{}']}}", script.display(), mark.display())])
            .await;
    served.until_healthy("sh", Duration::from_secs(10)).await;
    for is_modern in [true, false] {
        let answer = call(&served.client(), "sh_first", is_modern).await;
        assert!(answer.text().contains("from the shell"), "{}", answer.text());
    }
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    fs_err::write(&mark, "").unwrap();
    let client = served.client();
    let lists = async || client.modern("tools/list", "").await.text().contains("sh_later");
    assert!(eventually(Duration::from_secs(2), lists).await, "{}", served.log());
}
