/*
 * A program with real threads that all run PHP: what a threaded web server does, without the web.
 *
 *     host INI SCRIPT REQUESTS ENDPOINT WAVE [WAVE ...]
 *
 * Each WAVE is a number of threads that start together and are waited for before the next wave begins. A thread serves
 * REQUESTS requests, one after another, and ends. The script sees as its arguments the endpoint, the number of its thread,
 * and the number of its request; what it prints goes to standard output.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include <sapi/embed/php_embed.h>

#ifndef ZTS
#error "this PHP has no threads"
#endif

struct job {
    pthread_t thread;
    int number;
    char *script;
    int requests;
    char *endpoint;
    int failed;
};

static pthread_barrier_t together;

static void request(struct job *job, int number)
{
    char thread_text[16], request_text[16];
    snprintf(thread_text, sizeof thread_text, "%d", job->number);
    snprintf(request_text, sizeof request_text, "%d", number);
    char *arguments[] = {job->script, job->endpoint, thread_text, request_text, NULL};

    SG(options) |= SAPI_OPTION_NO_CHDIR;
    SG(request_info).argc = 4;
    SG(request_info).argv = arguments;
    if (php_request_startup() == FAILURE) {
        job->failed = 1;
        return;
    }
    SG(headers_sent) = 1;
    SG(request_info).no_headers = 1;
    zend_first_try {
        zend_file_handle file;
        zend_stream_init_filename(&file, job->script);
        php_execute_script(&file);
        zend_destroy_file_handle(&file);
    } zend_end_try();
    php_request_shutdown(NULL);
}

static void *serve(void *argument)
{
    struct job *job = argument;
    ts_resource(0);
    pthread_barrier_wait(&together);
    for (int number = 0; number < job->requests; number++) {
        request(job, number);
    }
    ts_free_thread();
    return NULL;
}

int main(int count, char **words)
{
    if (count < 6) {
        fprintf(stderr, "usage: %s INI SCRIPT REQUESTS ENDPOINT WAVE [WAVE ...]\n", words[0]);
        return 2;
    }
    php_embed_module.php_ini_path_override = words[1];
    if (php_embed_init(1, words) == FAILURE) {
        fprintf(stderr, "PHP did not start\n");
        return 1;
    }
    int failed = 0, number = 0;
    for (int wave = 5; wave < count; wave++) {
        int threads = atoi(words[wave]);
        struct job *jobs = calloc((size_t) threads, sizeof *jobs);
        pthread_barrier_init(&together, NULL, (unsigned) threads);
        for (int index = 0; index < threads; index++) {
            jobs[index] = (struct job) {
                .number = number++, .script = words[2], .requests = atoi(words[3]), .endpoint = words[4],
            };
            if (pthread_create(&jobs[index].thread, NULL, serve, &jobs[index]) != 0) {
                perror("pthread_create");
                return 1;
            }
        }
        for (int index = 0; index < threads; index++) {
            pthread_join(jobs[index].thread, NULL);
            failed += jobs[index].failed;
        }
        pthread_barrier_destroy(&together);
        free(jobs);
    }
    php_embed_shutdown();
    return failed == 0 ? 0 : 1;
}
