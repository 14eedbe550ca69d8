//! The unix channel: files, modes, and the bytes between.

use std::{os::unix::fs::PermissionsExt as _, path::Path, sync::Arc};

use gost_core::{
    Why,
    addr::Addr,
    build::Build,
    listener::{Accepted, Listener},
    outbound::{Ask, Dialer, NodeAddr, Outbound},
    registry::Registry,
    values::Values,
};
use gost_net::sockets::Sockets;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
};

fn registry() -> Arc<Registry> {
    let mut registry = Registry::new();
    gost_x_unix::register(&mut registry);
    Arc::new(registry)
}

async fn listen(path: &Path, options: Values) -> gost_core::Result<Box<dyn Listener>> {
    let registry = registry();
    let mut build = Build::new(registry.clone());
    build.addr = path.to_str().unwrap().into();
    registry.make::<dyn Listener>("unix", &options, build).await
}

#[tokio::test]
async fn the_dialer_and_the_listener_meet() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.sock");
    let mut listener = listen(&path, Values::new()).await.unwrap();
    let registry = registry();
    let build = Build::new(registry.clone());
    let made = registry.make::<dyn Dialer>("unix", &Values::new(), build);
    let dialer = made.await.unwrap();
    let below: Arc<dyn Outbound> = Arc::new(Sockets::default());
    // From a file the address of a node is a path, from elsewhere it may be text.
    let text = Addr::Name(path.to_str().unwrap().into(), 0);
    for addr in [Addr::path(&path), text] {
        let node = NodeAddr::new(addr);
        let dialed = dialer.dial(&node, &below, &Ask::default()).await.unwrap();
        let mut near = dialed.into_stream().unwrap().0;
        near.write_all(b"question").await.unwrap();
        near.shutdown().await.unwrap();
        let accepted = listener.accept().await.unwrap().finish().await.unwrap();
        let Accepted::One(conn) = accepted else {
            panic!("a connection is one");
        };
        let mut far = conn.into_stream().unwrap().0;
        let mut heard = Vec::new();
        far.read_to_end(&mut heard).await.unwrap();
        assert_eq!(heard, b"question");
        far.write_all(b"answer").await.unwrap();
        far.shutdown().await.unwrap();
        let mut answer = Vec::new();
        near.read_to_end(&mut answer).await.unwrap();
        assert_eq!(answer, b"answer");
    }
}

#[tokio::test]
async fn the_file_has_its_mode_and_goes_with_the_listener() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.sock");
    // As with any other socket that the process makes.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let usual = std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
    std::fs::remove_file(&path).unwrap();
    for (text, mode) in [("0600", 0o600), ("0666", 0o666), ("0", usual)] {
        let listener = listen(&path, Values::new().with("mode", text)).await;
        let found = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(found & 0o777, mode);
        drop(listener.unwrap());
        assert!(!path.exists());
    }
}

#[tokio::test]
async fn only_what_nobody_listens_on_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.sock");
    // What a process leaves that was killed.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let _listener = listen(&path, Values::new()).await.unwrap();
    UnixStream::connect(&path).await.unwrap();
    let again = listen(&path, Values::new()).await;
    assert_eq!(again.err().map(|e| e.why()), Some(Why::InUse));
    let file = folder.path().join("file");
    std::fs::write(&file, "precious").unwrap();
    assert!(listen(&file, Values::new()).await.is_err());
    assert_eq!(std::fs::read(&file).unwrap(), b"precious");
}
