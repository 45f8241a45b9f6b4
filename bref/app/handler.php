<?php
use ResilientRedis as Client;
use ResilientRedis\ConnectionException;
// Initialize Redis client outside the handler to reuse connections
$redisClient = null;
function getRedisClientInstance(): ?Client {
    global $redisClient;
    if ($redisClient === null) {
        $redisEndpoint = getenv('REDIS_ENDPOINT');
        $redisPort = getenv('REDIS_PORT') ?: 6379;
        $options = [
            'cluster' => 'redis',
            'parameters' => [
                'scheme' => 'tcp',
                'host' => $redisEndpoint,
                'port' => $redisPort,
                // 'password' => getenv('REDIS_PASSWORD'),
            ],
            'connections' => [
                'tcp' => [
                    'connection_timeout' => 1.5, // Very short timeout for Lambda
                    'read_write_timeout' => 1.5,
                ],
            ],
            'replication' => true,
            'read_write_timeout' => 3,
        ];
        try {
            $redisClient = new Client($options['parameters']['host'] . ':' . $options['parameters']['port'], $options);
            $redisClient->connect();
            error_log("Redis client initialized and connected.");
        } catch (ConnectionException $e) {
            error_log("Failed to initialize Redis client: " . $e->getMessage());
            return null;
        }
    }
    return $redisClient;
}
// --- Lambda Handler Example ---
$handler = function (array $event, $context) {
    $redis = getRedisClientInstance();
    if (!$redis) {
        return [
            'statusCode' => 500,
            'body' => json_encode(['message' => 'Failed to connect to Redis']),
        ];
    }
    try {
        // Example: Increment a counter
        $counterKey = 'lambda_invocations';
        $currentCount = $redis->incr($counterKey);
        // Example: Set a session value
        $sessionId = $event['sessionId'] ?? 'default_session';
        $redis->set("session:$sessionId", json_encode(['user' => 'testuser', 'timestamp' => time()]), 'EX', 3600); // Expires in 1 hour
        return [
            'statusCode' => 200,
            'body' => json_encode([
                'message' => 'Redis operations successful',
                'current_invocation_count' => $currentCount,
                'session_key' => "session:$sessionId"
            ]),
        ];
    } catch (ConnectionException $e) {
        error_log("Redis operation failed during Lambda execution: " . $e->getMessage());
        // If a connection error occurs, reset the client.
        // The next invocation will attempt to re-initialize.
        global $redisClient;
        $redisClient = null;
        return [
            'statusCode' => 503, // Service Unavailable
            'body' => json_encode(['message' => 'Redis temporarily unavailable']),
        ];
    } catch (\Exception $e) {
        error_log("An unexpected error occurred in Lambda: " . $e->getMessage());
        return [
            'statusCode' => 500,
            'body' => json_encode(['message' => 'Internal server error']),
        ];
    }
};
// To test locally, you might simulate the handler call:
// $event = ['sessionId' => 'abc123'];
// $context = null;
// echo json_encode($handler($event, $context));
return $handler;
