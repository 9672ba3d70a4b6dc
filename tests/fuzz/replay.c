/* A main() for a fuzz target, for any compiler: runs it once on every file named, and on every file
   in the directories named. A target that finds something aborts. */
#define _POSIX_C_SOURCE 200809L
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* If a target has this counter, a corpus must make it more than 0: a corpus whose inputs are all
   rejected at once tests nothing. */
extern long replay_reached __attribute__((weak));

static void replay_file(const char *path, FILE *file) {
    uint8_t *data = NULL;
    size_t size = 0, capacity = 0, n = 1;
    while (n) {
        if (size == capacity) {
            capacity = capacity ? capacity * 2 : 4096;
            data = realloc(data, capacity);
            if (!data) exit(1);
        }
        n = fread(data + size, 1, capacity - size, file);
        size += n;
    }
    uint8_t *exact = malloc(size ? size : 1); /* so that one byte too far is seen */
    if (!exact) exit(1);
    memcpy(exact, data, size);
    free(data);
    fprintf(stderr, "%s\n", path); /* the last line names the file, should this abort */
    LLVMFuzzerTestOneInput(exact, size);
    free(exact);
}

/* Returns the number of inputs. */
static int replay(const char *path) {
    char inside[4096];
    int count = 0;
    DIR *directory = opendir(path);
    if (!directory) {
        FILE *file = fopen(path, "rb");
        if (!file) {
            perror(path);
            exit(1);
        }
        replay_file(path, file);
        fclose(file);
        return 1;
    }
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        if (entry->d_name[0] == '.') continue;
        snprintf(inside, sizeof inside, "%s/%s", path, entry->d_name);
        count += replay(inside);
    }
    closedir(directory);
    return count;
}

int main(int argc, char **argv) {
    int count = 0;
    for (int i = 1; i < argc; i++) count += replay(argv[i]);
    if (&replay_reached && !replay_reached && count > 1) {
        printf("%s: %d inputs, none of which reached what is to be tested\n", argv[0], count);
        return 1;
    }
    printf("%s: %d inputs, nothing found\n", argv[0], count);
    return count ? 0 : 1;
}
