/* What langdetect 1.0.9 answers to a text in Latin letters, bit for bit.

   Every sum, product and quotient is of the same numbers in the same order as langdetect's: compile this without
   -ffast-math and with -ffp-contract=off. The tables are made by compiled_language.py from langdetect's own profiles
   and rules for characters, and from Python's random numbers. Where they do not suffice it gives up.
*/

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if FLT_EVAL_METHOD != 0
#error "this compiler keeps more digits than Python does"
#endif

/* Parameters of langdetect's Detector. */
enum { MOST_CHARACTERS = 10000, TRIALS = 7, MOST_DRAWS = 1000 };
static const double ALPHA = 0.5, ALPHA_WIDTH = 0.05, BASE_FREQUENCY = 10000, CONVERGED = 0.99999;

enum { MOST_LANGUAGES = 64, STEP = 8 };

/* Characters are told apart by class: all that langdetect takes for a space, or for the same letter, are one. */
enum { SPACE = 0, OUTSIDE = 255 };

/* A character's letter is its class and these; above them stands the row of its unigram. */
enum { CLASS = 255, UPPER = 1 << 8, LATIN = 1 << 9, OTHER = 1 << 10, UNIGRAM_SHIFT = 16 };

/* Wider vectors where the processor has them: the same operations in the same order, more of them at once. */
#if defined __x86_64__ && defined __gnu_linux__ && defined __GNUC__ && !defined __clang__
#define WIDEST __attribute__((target_clones("avx2", "default")))
#else
#define WIDEST
#endif

/* Answers that are not a language. */
enum { NO_FEATURES = -1, GAVE_UP = -2 };

typedef struct {
    const uint32_t *letters;    /* [characters]; LATIN and OTHER are what langdetect's cleaning_text counts */
    const uint32_t *pairs;      /* [256, 256], by class: the row of the bigram, above it the block of trigrams it begins */
    const uint16_t *trigrams;   /* [blocks, 256]; block 0 is empty */
    const double *weights;      /* [rows, columns]: how probable the n-gram is in each; row 0 is of no n-gram */
    const uint32_t *words;      /* what the seeded Mersenne Twister puts out */
    int32_t characters, languages, columns, word_count; /* `columns`: the languages, and zeros up to a whole `STEP` */
    int32_t compensated;        /* 1 where Python's sum() makes up for lost bits, as it does from 3.12 on */
} Tables;

static int in_mail(uint32_t c) /* [-_.0-9A-Za-z] */
{
    return c - 'a' < 26u || c - 'A' < 26u || c - '0' < 10u || c == '-' || c == '_' || c == '.';
}

static int in_url(uint32_t c) /* [-_.?&~;+=/#0-9A-Za-z] */
{
    return in_mail(c) || (c && c < 128 && strchr("?&~;+=/#", (int)c));
}

/* Is there what an address of the web or of mail cannot be without? Most texts have neither, and need not be copied. */
WIDEST static int may_hold_address(const uint32_t *text, int64_t length)
{
    uint32_t found = 0;
    for (int64_t i = 0; i < length; i++) found |= (text[i] == '@') | (text[i] == '/');
    return found;
}

/* Copies a text with a space for each `https?://[-_.?&~;+=/#0-9A-Za-z]{1,2076}`. Returns the length of the copy. */
static int64_t without_urls(const uint32_t *text, int64_t length, uint32_t *copy)
{
    int64_t count = 0;
    for (int64_t i = 0; i < length;) {
        if (text[i] == 'h' && length - i > 7 && text[i + 1] == 't' && text[i + 2] == 't' && text[i + 3] == 'p') {
            int64_t j = i + 4 + (text[i + 4] == 's');
            if (length - j > 3 && text[j] == ':' && text[j + 1] == '/' && text[j + 2] == '/' && in_url(text[j + 3])) {
                copy[count++] = ' ';
                int64_t stop = j + 3 + 2076;
                for (i = j + 3; i < length && i < stop && in_url(text[i]); i++);
                continue;
            }
        }
        copy[count++] = text[i++];
    }
    return count;
}

/* Puts a space for each `[-_.0-9A-Za-z]{1,64}@[-_0-9A-Za-z]{1,255}[-_.0-9A-Za-z]{1,255}`. Returns the new length. */
static int64_t without_mail(uint32_t *text, int64_t length)
{
    int64_t count = 0;
    for (int64_t i = 0; i < length;) {
        if (text[i] == '@') {
            int64_t start = count, host = i + 1, stop = host;
            while (start > 0 && count - start < 64 && in_mail(text[start - 1])) start--;
            while (stop < length && stop < host + 255 && in_mail(text[stop]) && text[stop] != '.') stop++;
            int has_host = stop > host;
            for (int64_t rest = stop; stop < length && stop < rest + 255 && in_mail(text[stop]); stop++);
            /* Where nothing follows the host's first part, that gives its last character to the second. */
            if (start < count && has_host && stop > host + 1) {
                text[start] = ' ';
                count = start + 1;
                i = stop;
                continue;
            }
        }
        text[count++] = text[i++];
    }
    return count;
}

/* Finds the n-grams of a text that the profiles know, in langdetect's order: their rows. Returns how many, or GAVE_UP.
   Each n-gram's row is written, and overwritten if it is not to be kept: branches that follow the text cost more.
*/
static int find_features(const Tables *tables, const uint32_t *text, int64_t length, uint16_t *features)
{
    int64_t latin = 0, other = 0;
    uint32_t last = SPACE, last_upper = 0, in_capitals = 0, block = 0;
    int count = 0;
    for (int64_t i = 0; i < length; i++) {
        if (text[i] >= (uint32_t)tables->characters) return GAVE_UP;
        uint32_t letter = tables->letters[text[i]], class = letter & CLASS, upper = letter & UPPER;
        if (class == OUTSIDE) return GAVE_UP;
        latin += !!(letter & LATIN);
        other += !!(letter & OTHER);
        in_capitals = upper & (in_capitals | last_upper);
        uint32_t pair = tables->pairs[last << 8 | class];
        uint16_t rows[3] = {letter >> UNIGRAM_SHIFT, pair & 0xffff, tables->trigrams[block << 8 | class]};
        int kept = !in_capitals;
        for (int k = 0; k < 3; k++) {
            features[count] = rows[k];
            count += (rows[k] != 0) & kept;
        }
        block = pair >> 16; /* none behind a space: an n-gram has one only at its ends */
        last = class;
        last_upper = upper;
    }
    /* Of such a text langdetect leaves the Latin letters out. */
    return latin * 2 < other ? GAVE_UP : count;
}

/* Python's random.Random, from its words. */
typedef struct {
    const uint32_t *next, *end;
    double second; /* of a pair of normal numbers */
    int has_second;
} Random;

static double uniform(Random *random)
{
    uint32_t high = *random->next++ >> 5, low = *random->next++ >> 6;
    return (high * 67108864.0 + low) * (1.0 / 9007199254740992.0);
}

static double normal(Random *random)
{
    random->has_second = !random->has_second;
    if (!random->has_second) return random->second;
    double angle = uniform(random) * (2.0 * 3.14159265358979323846);
    double radius = sqrt(-2.0 * log(1.0 - uniform(random)));
    random->second = sin(angle) * radius;
    return cos(angle) * radius;
}

/* One trial: the languages' probabilities by n-grams drawn at random, until one stands out. Returns 0 if words run out. */
WIDEST static int run_trial(const Tables *tables, const uint16_t *features, int count, Random *random, double *probability)
{
    int columns = tables->columns, shift = 32;
    for (int bits = count; bits; bits >>= 1) shift--;
    if (random->end - random->next < 4) return 0;
    double weight = (ALPHA + normal(random) * ALPHA_WIDTH) / BASE_FREQUENCY;
    for (int j = 0; j < columns; j++) probability[j] = j < tables->languages ? 1.0 / tables->languages : 0.0;
    for (int draws = 1;; draws += 5) {
        /* It looks at them after the first draw and after every fifth from there. */
        const double *rows[5];
        int drawn = draws == 1 ? 1 : 5;
        for (int k = 0; k < drawn; k++) {
            uint32_t index;
            do {
                if (random->next == random->end) return 0;
                index = *random->next++ >> shift;
            } while (index >= (uint32_t)count);
            rows[k] = tables->weights + (size_t)features[index] * columns;
        }
        /* Their sum is taken from left to right while the products behind are made. */
        double total = 0.0, lost = 0.0;
        for (int start = 0; start < columns; start += STEP) {
            double *part = probability + start;
            if (drawn == 1)
                for (int j = 0; j < STEP; j++) part[j] *= weight + rows[0][start + j];
            else
                for (int j = 0; j < STEP; j++)
                    part[j] = part[j] * (weight + rows[0][start + j]) * (weight + rows[1][start + j])
                        * (weight + rows[2][start + j]) * (weight + rows[3][start + j]) * (weight + rows[4][start + j]);
            if (!tables->compensated)
                for (int j = 0; j < STEP; j++) total += part[j];
            else
                for (int j = 0; j < STEP; j++) {
                    double next = total + part[j];
                    lost += fabs(total) >= fabs(part[j]) ? (total - next) + part[j] : (part[j] - next) + total;
                    total = next;
                }
        }
        total += lost;
        int stands_out = 0;
        for (int j = 0; j < columns; j++) probability[j] /= total;
        for (int j = 0; j < columns; j++) stands_out |= probability[j] > CONVERGED;
        if (stands_out || draws > MOST_DRAWS) return 1;
    }
}

/* The likeliest language of a text of `length` characters, and in `probability` how likely; or NO_FEATURES or GAVE_UP. */
int best_language(const Tables *tables, const uint32_t *text, int64_t length, double *probability)
{
    uint16_t features[3 * MOST_CHARACTERS + 1];
    double trial[MOST_LANGUAGES], mean[MOST_LANGUAGES] = {0};
    Random random = {tables->words, tables->words + tables->word_count, 0.0, 0};

    if (tables->columns > MOST_LANGUAGES) return GAVE_UP;
    uint32_t *copy = NULL;
    if (may_hold_address(text, length)) {
        if (!(copy = malloc((length + 1) * sizeof *copy))) return GAVE_UP;
        length = without_mail(copy, without_urls(text, length, copy));
    }
    int count = find_features(tables, copy ? copy : text, length < MOST_CHARACTERS ? length : MOST_CHARACTERS, features);
    free(copy);
    if (count == 0) return NO_FEATURES;
    if (count < 0) return GAVE_UP;
    for (int i = 0; i < TRIALS; i++) {
        if (!run_trial(tables, features, count, &random, trial)) return GAVE_UP;
        for (int j = 0; j < tables->languages; j++) mean[j] += trial[j] / TRIALS;
    }
    int best = 0;
    for (int j = 1; j < tables->languages; j++)
        if (mean[j] > mean[best]) best = j;
    *probability = mean[best];
    return best;
}
