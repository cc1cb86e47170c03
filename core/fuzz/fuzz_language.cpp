// A target for libFuzzer: any bytes as a text whose language is asked. LANGDETECT names a folder that run.sh makes.
#include <Python.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "../language.hpp"

using namespace c4;

namespace {

const LanguageDetector* detector;

std::string contents(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<Text> lines(Text text) {
    std::vector<Text> found;
    for (std::size_t start = 0; start <= text.size();) {
        const std::size_t stop = std::min(text.find('\n', start), text.size());
        found.push_back(text.substr(start, stop - start));
        start = stop + 1;
    }
    return found;
}

} // namespace

extern "C" int LLVMFuzzerInitialize(int*, char***) {
    Py_Initialize();
    make_unicode_tables();
    const char* folder = std::getenv("LANGDETECT");
    if (!folder) std::abort();
    const std::filesystem::path root = folder;
    std::vector<std::filesystem::path> paths;
    for (const auto& file : std::filesystem::directory_iterator(root / "profiles"))
        if (file.is_regular_file()) paths.push_back(file.path());
    std::sort(paths.begin(), paths.end());
    static std::vector<std::string> profiles;
    for (const auto& path : paths) profiles.push_back(contents(path));
    LanguageRules rules{};
    rules.profiles.assign(profiles.begin(), profiles.end());
    static const std::string spaces = contents(root / "spaces"), letters = contents(root / "letters"), marks = contents(root / "marks"),
                             kanji = contents(root / "kanji"), vietnamese = contents(root / "vietnamese");
    rules.latin1_spaces = spaces;
    rules.vietnamese_letters = letters;
    rules.vietnamese_marks = marks;
    rules.vietnamese = lines(vietnamese);
    rules.kanji = lines(kanji);
    std::uint32_t word = 1;
    for (int i = 0; i < 1 << 15; i++) rules.words.push_back(word = word * 1664525 + 1013904223);
    detector = new LanguageDetector(rules);
    return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const Text text(reinterpret_cast<const char*>(data), size);
    const auto answer = detector->detect(text);
    if (answer.language >= 0 && detector->name(answer.language).empty()) std::abort();
    // What is judged is what was detected, also where that is near what is asked for.
    for (const double least : {0.99, answer.probability, answer.probability + 1e-12}) {
        const auto wanted = answer.language < 0 ? LanguageVerdict::UNKNOWN
                            : answer.probability < least ? LanguageVerdict::UNSURE
                                                         : LanguageVerdict::SAME;
        if (detector->judge(text, answer.language, least) != wanted) std::abort();
    }
    return 0;
}
