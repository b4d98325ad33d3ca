//! The signature of an SNS message: RSA over SHA-1 (version 1, the default of old topics) or SHA-256.
//!
//! Rule: the certificate is trusted because of where it was fetched from over TLS, which is all that
//! Amazon's own validators ask; what is checked here is that its key signed these bytes.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ring::signature::{RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, UnparsedPublicKey};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{
    AlgorithmIdentifier, CertificateDer, InvalidSignature, SignatureVerificationAlgorithm, alg_id,
};
use webpki::EndEntityCert;

use super::envelope::{Envelope, Refused};

/// RSA with SHA-1, which `webpki` leaves out on purpose. It serves for SNS's version 1 and nothing else.
#[derive(Debug)]
struct RsaSha1;

impl SignatureVerificationAlgorithm for RsaSha1 {
    fn verify_signature(&self, key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, key)
            .verify(message, signature)
            .map_err(|_| InvalidSignature)
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::RSA_ENCRYPTION
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        // sha1WithRSAEncryption, 1.2.840.113549.1.1.5, with NULL parameters (RFC 3279).
        AlgorithmIdentifier::from_slice(&[
            0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x05, 0x05, 0x00,
        ])
    }
}

/// The first certificate of a PEM file, as DER.
///
/// # Errors
/// [`Refused::Certificate`] where the file holds none.
pub fn certificate(pem: &[u8]) -> Result<Vec<u8>, Refused> {
    let certificate =
        CertificateDer::from_pem_slice(pem).map_err(|error| Refused::Certificate(error.to_string()))?;
    Ok(certificate.as_ref().to_vec())
}

/// Whether the key of a certificate, as DER, signed this message.
///
/// # Errors
/// [`Refused::Signature`] where the key of this certificate did not sign this message.
pub fn verify(envelope: &Envelope, certificate: &[u8]) -> Result<(), Refused> {
    let certificate = CertificateDer::from(certificate);
    let certificate =
        EndEntityCert::try_from(&certificate).map_err(|error| Refused::Certificate(error.to_string()))?;
    let signature = BASE64_STANDARD.decode(envelope.signature.trim()).map_err(|_| Refused::Signature)?;
    let algorithm: &dyn SignatureVerificationAlgorithm = match envelope.signature_version.as_str() {
        "1" => &RsaSha1,
        "2" => webpki::ring::RSA_PKCS1_2048_8192_SHA256,
        other => return Err(Refused::Version(other.to_owned())),
    };
    certificate
        .verify_signature(algorithm, envelope.signed_text().as_bytes(), &signature)
        .map_err(|_| Refused::Signature)
}
