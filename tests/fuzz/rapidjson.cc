// The opinion of RapidJSON, which is C++; see fuzz.h.
#include <rapidjson/memorystream.h>
#include <rapidjson/reader.h>

#include <cstdlib>

enum opinion { ACCEPTED, REFUSED, NO_OPINION };

// RapidJSON 1.1 does not look at an escaped low surrogate that no high one stands before.
static bool has_lone_low_surrogate(const char *json, size_t length)
{
    const char *pair = nullptr; // where a low surrogate may stand
    for (const char *at = json; at + 6 <= json + length; at++) {
        if (*at != '\\')
            continue;
        if (at[1] != 'u') {
            at++;
            continue;
        }
        const char hex[] = {at[2], at[3], at[4], at[5], '\0'};
        unsigned long unit = std::strtoul(hex, nullptr, 16);
        if (unit >= 0xdc00 && unit <= 0xdfff && at != pair)
            return true;
        pair = unit >= 0xd800 && unit <= 0xdbff ? at + 6 : nullptr;
        at += 5;
    }
    return false;
}

extern "C" enum opinion rapidjson_opinion(const char *json, size_t length)
{
    using namespace rapidjson;
    MemoryStream stream(json, length);
    BaseReaderHandler<> nothing;
    Reader reader;
    const unsigned flags =
        kParseIterativeFlag | kParseValidateEncodingFlag | kParseNumbersAsStringsFlag;
    ParseResult result = reader.Parse<flags>(stream, nothing);
    if (result.Code() == kParseErrorNumberTooBig)
        return NO_OPINION; // for a double
    if (result.IsError())
        return REFUSED;
    return has_lone_low_surrogate(json, length) ? NO_OPINION : ACCEPTED;
}
