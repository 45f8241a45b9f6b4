<?php

declare(strict_types=1);

/*
 * hostile-replies.php ENDPOINT CALLS PROTOCOL: calls methods and prints, as JSON and for each of them, what came of it: the value
 * or the exception, how much memory it took at the most, and what the same client reads next.
 */

[, $endpoint, $calls, $protocol] = $argv;
$options = ['protocol' => (int) $protocol, 'read_write_timeout' => 0.3, 'retry' => false];
$seen = [];
foreach (json_decode($calls, true, 8, JSON_THROW_ON_ERROR) as $name => [$method, $arguments]) {
    $redis = new ResilientRedis($endpoint, $options);
    $redis->ping();
    memory_reset_peak_usage();
    $before = memory_get_usage();
    try {
        $came = ['value' => $redis->$method(...$arguments)];
    } catch (ResilientRedis\Exception $failure) {
        $came = ['exception' => $failure::class, 'unknown' => $failure instanceof ResilientRedis\OutcomeUnknown, 'message' => $failure->getMessage()];
    }
    $memory = memory_get_peak_usage() - $before;
    $seen[$name] = $came + ['memory' => $memory, 'next' => $redis->get('fine')];
}
echo json_encode($seen, JSON_THROW_ON_ERROR | JSON_PARTIAL_OUTPUT_ON_ERROR | JSON_PRESERVE_ZERO_FRACTION);
