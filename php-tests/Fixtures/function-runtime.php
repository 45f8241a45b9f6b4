<?php

declare(strict_types=1);

/*
 * What a Lambda sandbox runs, in the manner of Bref's function runtime: PHP loads the handler once, then asks the Runtime
 * API for an event, calls the handler, and posts what it returned; BREF_LOOP_MAX times, by default once. After an
 * exception, too, the process ends: a new one takes its place.
 */

$api = 'http://' . getenv('AWS_LAMBDA_RUNTIME_API') . '/2018-06-01/runtime/invocation';
$request = static function (string $method, string $path, string $body = '') use ($api): array {
    // An event may be long in coming.
    $context = ['http' => ['method' => $method, 'content' => $body, 'timeout' => 3600, 'ignore_errors' => true]];
    $answer = file_get_contents("$api/$path", false, stream_context_create($context));
    if ($answer === false) {
        exit(1);
    }

    return [$answer, $http_response_header];
};

$handler = (static fn (): callable => require getenv('LAMBDA_TASK_ROOT') . '/' . getenv('_HANDLER'))();

for ($loops = (int) (getenv('BREF_LOOP_MAX') ?: 1); $loops > 0; $loops--) {
    [$event, $headers] = $request('GET', 'next');
    preg_match('/^Lambda-Runtime-Aws-Request-Id: (\S+)$/mi', implode("\n", $headers), $found);
    try {
        $result = $handler(json_decode($event, true, 64, JSON_THROW_ON_ERROR), null);
    } catch (Throwable $error) {
        $request('POST', "$found[1]/error", json_encode(['errorType' => $error::class, 'errorMessage' => $error->getMessage()]));
        exit(0);
    }
    $request('POST', "$found[1]/response", json_encode($result));
}
