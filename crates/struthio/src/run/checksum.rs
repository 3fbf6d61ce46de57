use flate2::Crc;

/// CRC-32 of `bytes`: tells what was written whole from what was not.
pub(crate) fn checksum(bytes: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(bytes);
    crc.sum()
}
