use super::*;

fn text(value: &str) -> Setting {
    Setting::Text(value.to_owned())
}

fn ssl(entries: &[(&str, Setting)]) -> Setting {
    Setting::Map(entries.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect())
}

fn said(entries: &[(&str, Setting)]) -> TlsOptions {
    match read("ssl", &ssl(entries)) {
        Ok(Some(options)) => options,
        other => panic!("{other:?}"),
    }
}

fn refused(name: &str, value: Setting) -> ConfigurationError {
    match read("ssl", &ssl(&[(name, value)])) {
        Err(error) => error,
        Ok(options) => panic!("accepted: {options:?}"),
    }
}

#[test]
fn the_names_of_stream_contexts_are_understood() {
    let options = said(&[
        ("cafile", text("/ca.pem")),
        ("capath", text("/cas")),
        ("local_cert", text("/me.pem")),
        ("local_pk", text("/me.key")),
        ("passphrase", text("hunter2")),
        ("verify_peer", text("0")),
        ("verify_peer_name", Setting::Bool(false)),
        ("peer_name", text(" Redis.Example ")),
        ("allow_self_signed", Setting::Int(1)),
        ("SNI_enabled", text("false")),
        ("capture_peer_cert", Setting::Bool(true)),
    ]);
    let expected = TlsOptions {
        cafile: Some("/ca.pem".into()),
        capath: Some("/cas".into()),
        local_cert: Some("/me.pem".into()),
        local_pk: Some("/me.key".into()),
        passphrase: Some(Secret::new("hunter2")),
        verify_peer: false,
        verify_peer_name: false,
        peer_name: Some("redis.example".into()),
        allow_self_signed: true,
        sni: false,
        ..TlsOptions::default()
    };
    assert_eq!(options, expected);
    assert!(!format!("{options:?}").contains("hunter2"));
    assert_eq!(said(&[("CN_match", text("h"))]).peer_name.as_deref(), Some("h"));
}

#[test]
fn nothing_asks_for_nothing_and_the_defaults_verify_everything() {
    assert_eq!(read("ssl", &Setting::List(vec![])), Ok(None));
    assert_eq!(read("ssl", &Setting::Bool(false)), Ok(None));
    let default = TlsOptions::default();
    assert!(default.verify_peer && default.verify_peer_name && !default.allow_self_signed);
    for wrong in [Setting::Bool(true), text("on"), Setting::List(vec![text("cafile")])] {
        assert_eq!(read("ssl", &wrong).unwrap_err().option(), "ssl", "{}", wrong.describe());
    }
}

#[test]
fn versions_are_php_constants() {
    use TlsVersion::{V12, V13};
    let both = |entries: &[(&str, i64)]| {
        let entries: Vec<_> = entries.iter().map(|(name, value)| (*name, Setting::Int(*value))).collect();
        let options = said(&entries);
        (options.oldest, options.newest)
    };
    assert_eq!(both(&[("crypto_method", 33)]), (V12, V12));
    assert_eq!(both(&[("crypto_type", 65)]), (V13, V13));
    assert_eq!(both(&[("crypto_method", 33 | 65)]), (V12, V13));
    assert_eq!(both(&[("crypto_method", 121)]), (V12, V13), "STREAM_CRYPTO_METHOD_TLS_CLIENT");
    assert_eq!(both(&[("crypto_method", 57)]), (V12, V12), "STREAM_CRYPTO_METHOD_SSLv23_CLIENT");
    assert_eq!(both(&[("min_proto_version", 64)]), (V13, V13));
    assert_eq!(both(&[("min_proto_version", 8)]), (V12, V13));
    assert_eq!(both(&[("max_proto_version", 32)]), (V12, V12));
    assert_eq!(both(&[("min_proto_version", 32), ("max_proto_version", 64)]), (V12, V13));
    for value in [Setting::Int(9), Setting::Int(3), Setting::Int(0), text("TLSv1.2"), Setting::Int(1 << 20)] {
        assert!(refused("crypto_method", value).accepted().contains("TLSv1_2_CLIENT"));
    }
    assert!(refused("max_proto_version", Setting::Int(16)).accepted().contains("PROTO_TLSv1_2"));
    let upside_down = ssl(&[("min_proto_version", Setting::Int(64)), ("max_proto_version", Setting::Int(32))]);
    assert_eq!(read("ssl", &upside_down).unwrap_err().option(), "ssl.min_proto_version");
}

#[test]
fn what_is_wrong_is_named_and_no_key_is_shown() {
    assert_eq!(refused("cafil", text("/x")).accepted(), "unknown option; did you mean `cafile`?");
    assert!(refused("ciphers", text("HIGH")).accepted().contains("ECDHE"));
    assert!(refused("peer_fingerprint", text("ab")).accepted().contains("`cafile`"));
    assert_eq!(refused("verify_peer", text("maybe")).option(), "ssl.verify_peer");
    assert_eq!(refused("peer_name", text("a b")).given(), "string 'a b'");
    let pasted = refused("local_pk", text("-----BEGIN PRIVATE KEY-----\nhunter2"));
    assert!(!pasted.to_string().contains("hunter2"), "{pasted}");
    assert!(!refused("passphrase", Setting::List(vec![text("hunter2")])).to_string().contains("hunter2"));
    assert_eq!(refused("local_pk", text("/me.key")).option(), "ssl.local_cert");
}

#[test]
fn the_name_that_the_user_gives_counts_instead_of_the_hosts() {
    let hosts = || ["a".to_owned(), "b".to_owned(), "a".to_owned()];
    assert_eq!(Tls::new(TlsOptions::default(), hosts()).names(), ["a", "b"]);
    let named = TlsOptions { peer_name: Some("c".into()), ..TlsOptions::default() };
    assert_eq!(Tls::new(named, hosts()).names(), ["c"]);
}
