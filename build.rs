//! Tells the compiler about the PHP that we build for: whether it is thread safe, and how it runs out of memory.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // ext-php-rs finds PHP and hands its findings down as `DEP_EXT_PHP_RS_*`; the cfg names are ours.
    println!("cargo:rustc-check-cfg=cfg(php_zts)");
    println!("cargo:rustc-check-cfg=cfg(php_delayed_oom)");
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
    if delays_out_of_memory() {
        println!("cargo:rustc-cfg=php_delayed_oom");
    }
}

/// Whether this PHP reports an exhausted `memory_limit` between two opcodes instead of jumping out of the allocation
/// (8.2.36 of Debian does): its executor then has a state for it, which its headers tell.
fn delays_out_of_memory() -> bool {
    let config = std::env::var("PHP_CONFIG").unwrap_or_else(|_| "php-config".to_owned());
    let Ok(output) = std::process::Command::new(config).arg("--include-dir").output() else { return false };
    let folder = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let header = std::path::Path::new(&folder).join("Zend/zend_alloc.h");
    std::fs::read_to_string(header).is_ok_and(|text| text.contains("ZEND_HAS_OOM"))
}
