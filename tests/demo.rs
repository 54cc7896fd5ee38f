//! The demo is itself a test of the whole: it holds every figure against the simulators.

use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use tokio::process::Command;

use crate::hub::RENKEI;

async fn demo(folder: &Path) -> Output {
    let told = Command::new(RENKEI)
        .args(["demo", "--exit", "--dir"])
        .arg(folder)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let told = tokio::time::timeout(Duration::from_secs(300), told).await;
    told.expect("the demo comes to its end").unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_tells_its_story_and_every_figure_holds() {
    let folder = tempfile::tempdir().unwrap();
    let told = demo(folder.path()).await;
    let (text, trouble) = (
        String::from_utf8(told.stdout).unwrap(),
        String::from_utf8_lossy(&told.stderr),
    );
    assert!(told.status.success(), "{text}\n{trouble}");
    assert!(!text.contains("不一致"), "{text}");
    for beat in ["①", "②", "③", "④", "⑤", "⑥", "⑦", "⑧"] {
        assert_eq!(text.matches(beat).count(), 1, "{beat}");
    }
    let foot = text
        .lines()
        .find(|line| line.starts_with("手入力"))
        .unwrap();
    assert!(
        foot.contains("誤配信 0") && foot.contains("消失 0"),
        "{foot}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_with_something_in_it_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("mine"), "x").unwrap();
    let refused = demo(folder.path()).await;
    assert_eq!(refused.status.code(), Some(64));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}
