<?php

declare(strict_types=1);

namespace Tests;

use ResilientRedis;
use ResilientRedis\ConfigurationException;
use Tests\Support\RedisTestCase;

/** The arguments of Predis' constructor, each form that a program may have. */
final class PredisParametersTest extends RedisTestCase
{
    /** @return iterable<string, array{mixed, list<string>, 2?: mixed}> */
    public static function places(): iterable
    {
        yield 'nothing' => [null, ['127.0.0.1:6379']];
        yield 'an empty text' => ['', ['127.0.0.1:6379']];
        yield 'an empty array' => [[], ['127.0.0.1:6379']];
        yield 'an empty array with parameters among the options' => [[], ['h:7'], ['parameters' => ['host' => 'h', 'port' => 7]]];
        yield 'nothing with parameters among the options' => [null, ['h:7'], ['parameters' => ['host' => 'h', 'port' => '7']]];
        yield 'the first argument wins' => ['tcp://first', ['first:7'], ['parameters' => ['host' => 'h', 'port' => 7]]];
        yield 'a list of field names' => [null, ['127.0.0.1:6379'], ['parameters' => ['scheme', 'host', 'port', 'password']]];
        yield 'a list' => [['tcp://a?role=master', ['host' => 'b', 'port' => 7], 'c:8'], ['a:6379', 'b:7', 'c:8']];
        yield 'a list of one' => [['tcp://a'], ['a:6379']];
        yield 'a list with replication' => [['a', 'b'], ['a:6379', 'b:6379'], ['replication' => 'predis']];
        yield 'replication as in Predis 1' => [['a', 'b'], ['a:6379', 'b:6379'], ['replication' => true]];
        yield 'one endpoint of a cluster' => ['tcp://a', ['a:6379'], ['cluster' => 'redis']];
        yield 'both kinds for one endpoint' => ['tcp://a', ['a:6379'], ['cluster' => 'redis', 'replication' => true]];
        yield 'host and port' => ['10.0.0.1:6380', ['10.0.0.1:6380']];
        yield 'a bare host' => ['redis.example', ['redis.example:6379']];
        yield 'IPv6 in brackets' => ['[::1]:6380', ['[::1]:6380']];
        yield 'IPv6 in brackets, bare' => ['[::1]', ['[::1]:6379']];
        yield 'IPv6 in a URI' => ['tcp://[::1]:6380', ['[::1]:6380']];
        yield 'IPv6 in an array' => [['host' => '::1'], ['[::1]:6379']];
        yield 'host and port with a query' => ['10.0.0.1:6380?password=x', ['10.0.0.1:6380']];
        yield 'a host with a database' => ['redis.local:6380/2', ['redis.local:6380']];
        yield 'another host with a database' => ['cache.local:6380/2', ['cache.local:6380']];
        yield 'a socket file' => ['/run/redis.sock', ['unix:/run/redis.sock']];
        yield 'a socket file as a URI' => ['unix:/run/redis.sock', ['unix:/run/redis.sock']];
        yield 'a socket file with slashes' => ['unix:///run/redis.sock?database=1', ['unix:/run/redis.sock']];
        yield 'a socket file in an array' => [['scheme' => 'unix', 'path' => '/run/redis.sock'], ['unix:/run/redis.sock']];
        yield 'tcp' => ['tcp://h:1', ['h:1']];
        yield 'redis' => ['redis://h:1/3', ['h:1']];
        yield 'a user in redis' => ['redis://user:p%40ss@h:1', ['h:1']];
        yield 'a user in tcp' => ['tcp://user:pass@h:1', ['h:1']];
        yield 'empty values are none' => [['host' => '', 'port' => null, 'path' => '', 'password' => ''], ['127.0.0.1:6379']];
        yield 'everything in a query' => ['tcp://h?database=1&username=u&password=p&timeout=2.5&read_write_timeout=-1&persistent=pool&conn_uid=3'
            . '&async_connect=1&tcp_nodelay=1&alias=first&role=master&weight=3&slots=0-5460&protocol=3', ['h:6379']];
        yield 'everything in an array' => [['scheme' => 'tcp', 'host' => 'h', 'port' => 6379, 'database' => '0', 'username' => 'u', 'password' => 'p',
            'timeout' => 2.5, 'read_write_timeout' => 0, 'persistent' => true, 'conn_uid' => 3, 'async_connect' => true, 'tcp_nodelay' => false, 'ssl' => [],
            'alias' => 'a', 'role' => 'slave', 'weight' => 2, 'slots' => '1,3-5', 'protocol' => 2, 'client_info' => true, 'cache' => true, 'serializer' => 'php',
            'compression' => 'lzf', 'iterable_multibulk' => true, 'throw_errors' => true, 'connection_timeout' => 2, 'connection_async' => true,
            'connection_persistent' => true], ['h:6379']];
    }

    /**
     * @dataProvider places
     * @param list<string> $endpoints
     */
    public function test_every_form_says_where_to_go(mixed $parameters, array $endpoints, mixed $options = null): void
    {
        self::assertSame($endpoints, (new ResilientRedis($parameters, $options))->topology()['endpoints']);
    }

    /** @return iterable<string, array{mixed, mixed, string, string}> */
    public static function mistakes(): iterable
    {
        yield 'a port too large' => ['h:65536', null, '`parameters.port`', '65535'];
        yield 'a scheme that is none' => ['http://h', null, '`parameters.scheme`', 'tcp, redis, tls, rediss, unix'];
        yield 'a socket without a path' => [['scheme' => 'unix'], null, '`parameters.path`', 'path'];
        yield 'a number' => [5, null, '`parameters`', 'URI'];
        yield 'a callable' => [static fn () => null, null, '`parameters`', 'URI'];
        yield 'a connection' => [new \stdClass(), null, '`parameters`', 'URI'];
        yield 'options of another kind' => [null, 'cluster', '`options`', 'array'];
        yield 'a misspelt option' => [null, ['clustr' => 'redis'], '`clustr`', '`cluster`'];
        yield 'a misspelt parameter' => [['hosts' => 'h'], null, '`parameters.hosts`', '`host`'];
        yield 'another kind of cluster' => ['h', ['cluster' => 'sharded'], '`cluster`', "'redis'"];
        yield 'a cluster of one\'s own' => ['h', ['cluster' => static fn () => null], '`cluster`', "'redis'"];
        yield 'another kind of replication' => ['h', ['replication' => 'master'], '`replication`', "'sentinel'"];
        yield 'an aggregate of one\'s own' => ['h', ['aggregate' => static fn () => null], '`aggregate`', 'not available'];
        yield 'a class for a scheme' => ['h', ['connections' => ['tcp' => 'My\\Connection']], '`connections.tcp`', 'not supported'];
        yield 'a callable for a scheme' => ['h', ['connections' => ['tcp' => static fn () => null]], '`connections.tcp`', 'not supported'];
        yield 'another set of connections' => ['h', ['connections' => 'relay'], '`connections`', 'not supported'];
        yield 'exceptions that are neither' => ['h', ['exceptions' => 'maybe'], '`exceptions`', 'true or false'];
        yield 'an older name of another client' => [['host' => 'h', 'user' => 'u'], null, '`parameters.user`', '`username`'];
    }

    /** @dataProvider mistakes */
    public function test_what_has_no_meaning_is_refused_in_words(mixed $parameters, mixed $options, string $option, string $accepted): void
    {
        $exception = self::thrown(ConfigurationException::class, static fn () => new ResilientRedis($parameters, $options));
        self::assertStringContainsString($option, $exception->getMessage());
        self::assertStringContainsString($accepted, $exception->getMessage());
    }

    /** @return iterable<string, array{array<string, mixed>}> */
    public static function idle(): iterable
    {
        yield 'cluster' => [['cluster' => 'predis']];
        yield 'service' => [['service' => 'mymaster']];
        yield 'autodiscovery' => [['autodiscovery' => true]];
        yield 'crc16' => [['crc16' => 'predis']];
        yield 'distributor' => [['distributor' => new \stdClass()]];
        yield 'readTimeout' => [['readTimeout' => 1000]];
        yield 'upstream_driver' => [['upstream_driver' => ['framework']]];
        yield 'himport' => [['himport' => ['auto_prepare' => true]]];
        yield 'connections' => [['connections' => 'default']];
        yield 'a profile' => [['profile' => '3.2']];
        yield 'persistent at top level' => [['persistent' => true]];
        yield 'an older name' => [['connection_timeout' => 2]];
    }

    /**
     * @dataProvider idle
     * @param array<string, mixed> $options
     */
    public function test_what_predis_knows_and_needs_no_more_is_accepted(array $options): void
    {
        $redis = self::client($options);
        self::assertSame('OK', $redis->set('k', 'v'));
        self::assertSame('v', $redis->get('k'));
    }

    /** @return iterable<string, array{string, array<string, mixed>}> */
    public static function databases(): iterable
    {
        yield 'in the query' => ['/?database=3', []];
        yield 'as a path' => ['/3', []];
        yield 'the path wins' => ['/3?database=4', []];
        yield 'in `parameters`' => ['', ['parameters' => ['database' => 3], 'database' => 4]];
        yield 'for the scheme' => ['', ['connections' => ['tcp' => ['database' => '3']], 'database' => 4]];
        yield 'at top level' => ['', ['database' => 3]];
        yield 'the first argument wins' => ['/3', ['parameters' => ['database' => 4]]];
    }

    /**
     * @dataProvider databases
     * @param array<string, mixed> $options
     */
    public function test_the_nearest_value_holds(string $behind, array $options): void
    {
        $port = self::shared()->port;
        foreach ([2, 3] as $protocol) {
            $redis = new ResilientRedis("redis://127.0.0.1:$port$behind", $options + ['protocol' => $protocol]);
            $redis->set('k', 'v');
            self::assertSame(['db3'], array_keys($redis->info('keyspace')['Keyspace']), "RESP$protocol");
        }
    }

    public function test_credentials_are_decoded(): void
    {
        $server = $this->server(['requirepass' => 'p@ss/w&d']);
        foreach (["redis://default:p%40ss%2Fw%26d@127.0.0.1:$server->port", "127.0.0.1:$server->port?password=p%40ss%2Fw%26d", "redis://:p%40ss%2Fw%26d@127.0.0.1:$server->port"] as $place) {
            self::assertSame('default', (new ResilientRedis($place))->acl('WHOAMI'));
        }
    }
}
