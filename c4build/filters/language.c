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

enum { MOST_LANGUAGES = 64 };

/* Characters are told apart by class: all that langdetect takes for a space, or for the same letter, are one. */
enum { SPACE = 0, OUTSIDE = 255 };

/* Answers that are not a language. */
enum { NO_FEATURES = -1, GAVE_UP = -2 };

typedef struct {
    const uint8_t *class_of;    /* [characters] */
    const uint8_t *script_of;   /* [characters]: 1 Latin, 2 other, 0 neither, as langdetect's cleaning_text counts them */
    const uint8_t *is_upper;    /* [256], by class */
    const uint16_t *unigrams;   /* [256]: row of `weights`, 0 for what no profile knows */
    const uint16_t *bigrams;    /* [256, 256] */
    const uint16_t *blocks;     /* [256, 256]: the block of the trigrams that begin so; block 0 is empty */
    const uint16_t *trigrams;   /* [blocks, 256] */
    const double *weights;      /* [rows, languages]: how probable the n-gram is in each */
    const uint32_t *words;      /* what the seeded Mersenne Twister puts out */
    int32_t characters, languages, word_count;
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

/* Finds the n-grams of a text that the profiles know, in langdetect's order: their rows. Returns how many, or GAVE_UP. */
static int find_features(const Tables *tables, const uint32_t *text, int64_t length, uint16_t *features)
{
    int64_t scripts[3] = {0};
    unsigned last = SPACE, block = 0; /* `block`: of the trigrams that begin with the last two characters */
    int in_capitals = 0, last_upper = 0, count = 0;
    for (int64_t i = 0; i < length; i++) {
        if (text[i] >= (uint32_t)tables->characters) return GAVE_UP;
        unsigned class = tables->class_of[text[i]];
        if (class == OUTSIDE) return GAVE_UP;
        scripts[tables->script_of[text[i]]]++;
        if (last == SPACE) {
            in_capitals = 0;
            if (class == SPACE) continue;
            block = 0;
        }
        int upper = tables->is_upper[class];
        in_capitals = upper && (in_capitals || last_upper);
        unsigned pair = last << 8 | class, row;
        if (!in_capitals) {
            if ((row = tables->unigrams[class])) features[count++] = row;
            if ((row = tables->bigrams[pair])) features[count++] = row;
            if ((row = tables->trigrams[block << 8 | class])) features[count++] = row;
        }
        block = tables->blocks[pair];
        last = class;
        last_upper = upper;
    }
    /* Of such a text langdetect leaves the Latin letters out. */
    return scripts[1] * 2 < scripts[2] ? GAVE_UP : count;
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

static double sum(const double *values, int count, int compensated)
{
    double total = 0.0, lost = 0.0;
    if (!compensated) {
        for (int j = 0; j < count; j++) total += values[j];
        return total;
    }
    for (int j = 0; j < count; j++) {
        double next = total + values[j];
        lost += fabs(total) >= fabs(values[j]) ? (total - next) + values[j] : (values[j] - next) + total;
        total = next;
    }
    return total + lost;
}

/* One trial: the languages' probabilities by n-grams drawn at random, until one stands out. Returns 0 if words run out. */
static int run_trial(const Tables *tables, const uint16_t *features, int count, Random *random, double *probability)
{
    int languages = tables->languages, shift = 32;
    for (int bits = count; bits; bits >>= 1) shift--;
    if (random->end - random->next < 4) return 0;
    double weight = (ALPHA + normal(random) * ALPHA_WIDTH) / BASE_FREQUENCY;
    for (int j = 0; j < languages; j++) probability[j] = 1.0 / languages;
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
            rows[k] = tables->weights + (size_t)features[index] * languages;
        }
        if (drawn == 1)
            for (int j = 0; j < languages; j++) probability[j] *= weight + rows[0][j];
        else
            for (int j = 0; j < languages; j++)
                probability[j] = probability[j] * (weight + rows[0][j]) * (weight + rows[1][j]) * (weight + rows[2][j])
                    * (weight + rows[3][j]) * (weight + rows[4][j]);
        double total = sum(probability, languages, tables->compensated);
        int stands_out = 0;
        for (int j = 0; j < languages; j++) probability[j] /= total;
        for (int j = 0; j < languages; j++) stands_out |= probability[j] > CONVERGED;
        if (stands_out || draws > MOST_DRAWS) return 1;
    }
}

/* The likeliest language of a text of `length` characters, and in `probability` how likely; or NO_FEATURES or GAVE_UP. */
int best_language(const Tables *tables, const uint32_t *text, int64_t length, double *probability)
{
    uint16_t features[3 * MOST_CHARACTERS];
    double trial[MOST_LANGUAGES], mean[MOST_LANGUAGES] = {0};
    Random random = {tables->words, tables->words + tables->word_count, 0.0, 0};

    if (tables->languages > MOST_LANGUAGES) return GAVE_UP;
    uint32_t *copy = malloc((length + 1) * sizeof *copy);
    if (!copy) return GAVE_UP;
    int64_t left = without_mail(copy, without_urls(text, length, copy));
    int count = find_features(tables, copy, left < MOST_CHARACTERS ? left : MOST_CHARACTERS, features);
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
