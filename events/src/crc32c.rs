//! CRC-32C (Castagnoli), the checksum of iSCSI, ext4 and Btrfs.

/// Eight tables, so that eight bytes are taken at a time.
static TABLES: [[u32; 256]; 8] = tables();

const POLYNOMIAL: u32 = 0x82f6_3b78;

const fn tables() -> [[u32; 256]; 8] {
    let mut tables = [[0; 256]; 8];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 != 0 { crc >> 1 ^ POLYNOMIAL } else { crc >> 1 };
            bit += 1;
        }
        tables[0][byte] = crc;
        byte += 1;
    }
    let mut byte = 0;
    while byte < 256 {
        let mut table = 1;
        while table < 8 {
            let before = tables[table - 1][byte];
            tables[table][byte] = before >> 8 ^ tables[0][(before & 0xff) as usize];
            table += 1;
        }
        byte += 1;
    }
    tables
}

/// The checksum of `data` behind data whose checksum is `crc` (0: there is none).
#[must_use]
pub fn crc32c(crc: u32, data: &[u8]) -> u32 {
    let mut crc = u64::from(!crc);
    let (words, rest) = data.as_chunks::<8>();
    for word in words {
        let bytes = (u64::from_le_bytes(*word) ^ crc).to_le_bytes();
        let parts = bytes.iter().zip(TABLES.iter().rev());
        crc = parts.fold(0, |crc, (&byte, table)| crc ^ table[byte as usize]).into();
    }
    let mut crc = crc as u32;
    for byte in rest {
        crc = crc >> 8 ^ TABLES[0][(crc as u8 ^ byte) as usize];
    }
    !crc
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::crc32c;

    #[test]
    fn known_answers() {
        // RFC 3720, B.4, and the usual check value.
        assert_eq!(crc32c(0, b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(0, &[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(0, &[0xff; 32]), 0x62a8_ab43);
        let rising: Vec<u8> = (0..32).collect();
        assert_eq!(crc32c(0, &rising), 0x46dd_794e);
        assert_eq!(crc32c(0, &[]), 0);
    }

    #[test]
    fn parts_make_the_whole() {
        let data: Vec<u8> = (0..200u8).map(|n| n.wrapping_mul(37)).collect();
        for cut in 0..data.len() {
            let (first, second) = data.split_at(cut);
            assert_eq!(crc32c(crc32c(0, first), second), crc32c(0, &data));
        }
    }
}
