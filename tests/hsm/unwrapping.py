"""Opens a BYOK ciphertext as Azure would, by two implementations that are not ours."""

from __future__ import annotations

import subprocess

from cryptography.hazmat.primitives import hashes, keywrap, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

OAEP = padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None)


class Kek:
    """A vault's RSA key-encryption key whose private half the test holds."""

    def __init__(self, bits=2048):
        self.private = rsa.generate_private_key(65537, bits)
        self.numbers = self.private.public_key().public_numbers()

    def split(self, ciphertext):
        """The wrapped AES key and the wrapped private key."""
        size = self.private.key_size // 8
        return ciphertext[:size], ciphertext[size:]

    def open_with_cryptography(self, ciphertext):
        """The PKCS#8 DER, by pyca/cryptography."""
        wrapped_aes, wrapped_key = self.split(ciphertext)
        return keywrap.aes_key_unwrap_with_padding(self.private.decrypt(wrapped_aes, OAEP), wrapped_key)

    def open_with_openssl(self, ciphertext, folder):
        """The PKCS#8 DER, by the openssl command line."""
        wrapped_aes, wrapped_key = self.split(ciphertext)
        pem = self.private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        for name, content in (("kek.pem", pem), ("aes.wrapped", wrapped_aes), ("key.wrapped", wrapped_key)):
            (folder / name).write_bytes(content)
        options = ["-pkeyopt", "rsa_padding_mode:oaep", "-pkeyopt", "rsa_oaep_md:sha1", "-pkeyopt", "rsa_mgf1_md:sha1"]
        aes = _openssl("pkeyutl", "-decrypt", "-inkey", "kek.pem", "-in", "aes.wrapped", *options, folder=folder)
        return _openssl(
            *("enc", "-d", "-id-aes256-wrap-pad", "-K", aes.hex(), "-iv", "A65959A6", "-in", "key.wrapped"),
            folder=folder,
        )


def _openssl(*arguments, folder):
    done = subprocess.run(["openssl", *arguments], cwd=folder, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout
