"""Mutants that no case can notice, by reason: ``line:column: old -> new`` in the published text."""

from __future__ import annotations

JUSTIFIED = {
    "The server wraps the text; strict mode only makes mistakes visible, and nothing here depends on it.": (
        "1:12:  -> X",
    ),
    "Whether WebCrypto would export the key again changes no answer.": (
        "197:88: false -> true",
        "756:63: false -> true",
        "772:73: false -> true",
        "777:91: false -> true",
        "785:83: false -> true",
        "795:66: false -> true",
        "799:75: false -> true",
    ),
    "A second check: Deno's WebCrypto refuses the same input, in the versions tested.": (
        "200:12: false -> true",
        "801:9:  -> true || ",
        "801:36: 0 -> 1",
        "801:56:  -> X",
    ),
    "Hex digits are read in pairs; an odd one at the end is dropped.": (
        "206:41: 64 -> 65",
        "794:65:  -> X",
    ),
    "A seventh group of the pattern is read and not used.": ("223:67: 7 -> 8",),
    "Padding with one more zero is cut off again.": ("224:54: 3 -> 4",),
    "All parts of the date are set afterwards.": ("227:25: 0 -> 1",),
    "A day beyond its month's end changes the month, too.": ("229:43: date.getUTCDate() !== day -> false",),
    "The empty value that the pattern allows or not is refused by the check of the value.": (
        "244:57: + -> *",
        "246:24: * -> +",
        "250:35: * -> +",
        "251:43: * -> +",
        "252:40: * -> +",
        "253:90: * -> +",
        "273:26: * -> +",
        "309:26: * -> +",
        "826:68: * -> +",
    ),
    "A delegation that fails is passed over; its code is never shown.": (
        "272:69:  -> X",
        "308:69:  -> X",
    ),
    "What follows throws for such a value, and a delegation that throws is passed over.": (
        "275:11:  -> true || ",
        "281:12: ^ -> ",
        "281:53: $ -> ",
        "314:11: isObject(recap) -> true",
        "320:15: Array.isArray(restrictions) -> true",
    ),
    "ethers recovers an address with its checksum, and that is compared with the message's.": (
        "279:11:  -> true || ",
    ),
    "The pattern before allows 0x at the beginning only.": ("282:25: startsWith -> includes",),
    "null counts as 1970 in comparisons, which the other times refuse.": (
        "295:5: issued !== null -> true",
        "296:5: expires !== null -> true",
    ),
    "Only the word int in the type is looked at where no function is called.": (
        "529:85:  -> X",
        "541:49:  -> X",
    ),
    "Types are from a fixed list, in which this makes no difference.": (
        "589:12: startsWith -> includes",
        "600:39: + -> *",
        "601:27: startsWith -> includes",
        "608:12: startsWith -> includes",
        "614:31: startsWith -> includes",
    ),
    "A millisecond of ten seconds; that there is a limit is a soak test of its own.": (
        "668:26: 10000 -> 9999",
        "668:26: 10000 -> 10001",
    ),
    "A request's id may be any; test_chains.py compares it.": (
        "700:53: 1 -> 2",
        "700:53: 1 -> 0",
    ),
    "The key of the run's own memory of reads, as unique as before.": ("702:33:  -> X",),
    "HMAC fills its key with zeros.": (
        "785:67: 32 -> 33",
        "785:67: 32 -> 31",
    ),
    "Deno derives whole bytes.": ("800:105: 256 -> 255",),
    "The filling has more characters than are taken from it.": ("871:70:  -> X",),
    "Writing behind the end of a byte array does nothing.": ("881:21: < -> <=",),
}
