//! Tells the compiler whether the PHP that we build for is thread safe.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // ext-php-rs finds PHP and hands its findings down as `DEP_EXT_PHP_RS_*`; the cfg names are ours.
    println!("cargo:rustc-check-cfg=cfg(php_zts)");
    println!("cargo:rerun-if-env-changed=PHP_CONFIG");
    if std::env::var_os("CARGO_FEATURE_PHP").is_none() {
        return;
    }
    let php = std::env::var("PHP").unwrap_or_else(|_| "php".to_owned());
    let output = std::process::Command::new(&php).args(["-n", "-r", "echo PHP_ZTS ? 'zts' : 'nts';"]).output();
    match output {
        Ok(found) if found.stdout == b"zts" => println!("cargo:rustc-cfg=php_zts"),
        Ok(_) => {}
        Err(error) => {
            panic!("cannot run `{php}` to ask whether it is thread safe: {error}; set PHP to the binary to build for")
        }
    }
}
