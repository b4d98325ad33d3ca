//! The certificates that this machine trusts, read once for all clients.
//!
//! Rule: reading them takes a walk through some hundred files, and each connector of Slack's and AWS's clients would
//! walk for itself; that was most of the time of a start.

use std::io;
use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::{ClientConfig, RootCertStore};

#[derive(Debug)]
pub struct Roots {
    pub store: RootCertStore,
    /// The same, for libraries that want to parse them themselves.
    pub pem: String,
}

static ROOTS: OnceLock<Roots> = OnceLock::new();

/// The machine's root certificates; those that cannot be parsed are left out.
///
/// # Errors
/// Where the machine has none.
pub fn roots() -> io::Result<&'static Roots> {
    let roots = ROOTS.get_or_init(read);
    if roots.store.is_empty() {
        let message = "this machine has no root certificates (on Debian: the package ca-certificates)";
        return Err(io::Error::new(io::ErrorKind::NotFound, message));
    }
    Ok(roots)
}

/// How a client of ours speaks TLS: it believes whom this machine trusts, and shows no certificate of its own.
///
/// # Errors
/// Where the machine has no root certificates.
pub fn tls() -> io::Result<ClientConfig> {
    Ok(ClientConfig::builder().with_root_certificates(roots()?.store.clone()).with_no_client_auth())
}

fn read() -> Roots {
    let mut roots = Roots { store: RootCertStore::empty(), pem: String::new() };
    // Most systems keep the same certificates twice: all in one file, and each in a folder beside it.
    let in_one_file = openssl_probe::probe().cert_file.filter(|_| std::env::var_os("SSL_CERT_DIR").is_none());
    let in_one_file =
        in_one_file.map(|file| rustls_native_certs::load_certs_from_paths(Some(&file), None).certs);
    let certificates = in_one_file.filter(|found| !found.is_empty());
    for certificate in certificates.unwrap_or_else(|| rustls_native_certs::load_native_certs().certs) {
        let text = STANDARD.encode(&certificate);
        if roots.store.add(certificate).is_ok() {
            roots.pem.push_str(&format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n"));
        }
    }
    roots
}
